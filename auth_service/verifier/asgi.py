"""For any ASGI application: a middleware that refuses requests without an access token."""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from functools import partial
from typing import Any

from auth_service.verifier.bearer import token_of
from auth_service.verifier.errors import Refused, WrongInternalToken
from auth_service.verifier.sign_ins import Level, check_requirement
from auth_service.verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("auth_service.verifier")

POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class VerifierMiddleware:
    """Asks every request for a token, but for the paths in `public`, and every bearer for one of the roles, if any.

    `acr` is how sure the sign-in must be at least, `max_age` how many seconds ago it may have been at most.
    The claims are in `scope["claims"]`. The verifier lives as long as the application, which must take
    lifespan events: without them all requests are refused.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        roles: Collection[str] = (),
        acr: Level | None = None,
        max_age: int | None = None,
        public: Collection[str] = (),
    ) -> None:
        check_requirement(acr, max_age)
        self._app = app
        self._verifier = verifier
        self._roles = tuple(roles)
        self._verify = partial(verifier.verify, acr=acr, max_age=max_age)
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["path"] in self._public:
            await self._app(scope, receive, send)
        else:
            await self._guard(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the verifier live as long as the application, which does not start with a wrong internal token."""
        try:
            await self._verifier.start()
        except WrongInternalToken as error:  # what is raised here would be taken for an application without a lifespan
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        try:
            await self._app(scope, receive, send)
        finally:
            await self._verifier.close()

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        try:
            scope["claims"] = await self._verify(token_of(sent), *self._roles)
        except Refused as refused:
            logger.debug("not let in: %s %s", refused.code, refused)
            await self._refuse(refused, scope, send)
        else:
            await self._app(scope, receive, send)

    async def _refuse(self, refused: Refused, scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":  # before it is accepted: the client gets a 403
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        body = json.dumps(refused.problem(self._verifier.issuer)).encode()
        headers = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), **refused.headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": refused.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})
