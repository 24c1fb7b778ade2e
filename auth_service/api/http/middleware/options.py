"""OPTIONS: what a path can be asked for, wherever there is one, and `*` for the service itself."""

from collections.abc import Awaitable, Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from auth_service.api.http.problems import PreflightRefused, allowed_methods


class Options:
    """Answers OPTIONS (RFC 9110, section 9.3.7), and refuses preflights: those of listed pages `Cors` has answered."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        asked = scope["type"] == "http" and scope["method"] == "OPTIONS"
        return (self._answer if asked else self._app)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self._allowed(scope)
        if allowed:
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _allowed(self, scope: Scope) -> str:
        """The methods of the path; none if there is nothing. Raises `PreflightRefused` for a browser's question."""
        headers = Headers(scope=scope)
        if "access-control-request-method" in headers:
            raise PreflightRefused(_wrong_with(headers.getlist("origin")))
        return allowed_methods(scope, self._routes)


def _wrong_with(origins: Sequence[str]) -> str:
    """Why no listed page has sent it. What strangers send is not repeated, and they are not told what is listed."""
    if len(origins) != 1:
        return "A preflight must have one Origin header."
    if origins[0] == "null":
        return "The origin of this page is null, which AUTH_CORS__ORIGINS cannot list, since any page can have it."
    return PreflightRefused.detail
