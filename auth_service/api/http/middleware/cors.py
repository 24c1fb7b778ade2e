"""Which pages of other origins may read the answers (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.problems import PreflightRefused, answer
from auth_service.settings.groups import CorsSettings

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "X-Auth-Cookie", "X-Request-ID", "traceparent", "tracestate",
)  # fmt: skip
EXPOSED_HEADERS = ("Date", "Retry-After", "WWW-Authenticate", "X-Request-ID")
VARY = (b"vary", b"Origin")

# By the words of Starlette's refusal.
WRONG = {
    "method": f"Pages of other origins may send {', '.join(METHODS)} alone, and no setting adds a method.",
    "headers": "The page wants to send a header that is not listed in AUTH_CORS__HEADERS.",
    "private-network": "The page is on a public network and this service on a private one, which no setting allows.",
}


class Cors(CORSMiddleware):
    """Starlette's, for the listed origins alone; any other is answered as if there were no such thing.

    By itself it tells every origin the whole policy, and refuses in plain text. What is listed may send our own headers
    and those of the settings.
    """

    def __init__(self, app: ASGIApp, settings: CorsSettings, base_url: str, *, with_cookies: bool) -> None:
        super().__init__(
            app,
            allow_origins=frozenset(settings.origins),
            allow_methods=METHODS,
            allow_headers=(*REQUEST_HEADERS, *settings.headers),
            allow_credentials=with_cookies,
            expose_headers=EXPOSED_HEADERS,
        )
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_from_listed_page(scope):
            await super().__call__(scope, receive, send)
            return

        async def send_varying(message: Message) -> None:  # a cache must not hand this answer to a listed page
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), VARY]
            await send(message)

        await self.app(scope, receive, send_varying)

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == 200:  # noqa: PLR2004
            return response
        wrong = bytes(response.body).decode().removeprefix("Disallowed CORS ").split(", ")
        refused = PreflightRefused(" ".join(WRONG[word] for word in wrong))
        return answer(refused, self._base_url, {"Vary": response.headers["vary"]})

    def _is_from_listed_page(self, scope: Scope) -> bool:
        origins = Headers(scope=scope).getlist("origin")
        return len(origins) == 1 and origins[0] in self.allow_origins
