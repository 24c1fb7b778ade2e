"""HEAD, wherever GET is."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    """Answers HEAD as GET (RFC 9110, section 9.3.2). The server leaves the body out, by the method that it has read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            return self._answer(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, send)
        finally:
            if "route" in asked:  # which the router has found: for the log line, among others
                scope["route"] = asked["route"]
