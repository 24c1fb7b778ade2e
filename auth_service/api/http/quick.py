"""The plain requests of the routes that are asked most, answered without the framework's work for each request.

The framework declares these routes and answers for all that is not plain: a header or a body that it must refuse, a
cookie. Which way a request goes is decided before anything is done, and no refusal is written twice.
`tests/api/http/test_quick.py` holds both ways to the same answers.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.json_body import parse, watch_for_disconnect
from auth_service.api.http.problems import answer_to
from auth_service.api.requests.client import device_of, note
from auth_service.api.requests.cookies import tokens_of
from auth_service.api.requests.dependencies import IDEMPOTENCY_KEY, bearer_token
from auth_service.api.schemas.common import Account, LoginBody, RefreshTokenBody
from auth_service.errors import Refused
from auth_service.services.services import Services
from auth_service.services.sessions.values import Device

Model = TypeVar("Model", bound=BaseModel)


class PlainRequest:
    """What these routes read of a request. `headers` are named in lower case; a later reader receives it all again."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._read: list[Message] = []

    def text(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    async def body(self, model: type[Model]) -> Model | None:
        """Return the body, or None if it is not plain: of another type, cut off, or with a field to be refused."""
        if self.headers.get(b"content-type") != b"application/json" or b"x-auth-cookie" in self.headers:
            return None
        while not self._read or self._read[-1].get("more_body", False):
            self._read.append(await self._receive())
        if self._read[-1]["type"] != "http.request":
            return None
        document = parse(b"".join([message.get("body", b"") for message in self._read]))
        watch_for_disconnect(self._receive)
        try:
            return model.model_validate(document)
        except ValidationError:
            return None

    async def receive_again(self) -> Message:
        return self._read.pop(0) if self._read else await self._receive()


class Route(NamedTuple):
    """`answer` returns what is told with a 200, or None if the request is not plain. The log tells the path."""

    path: str
    answer: Callable[[PlainRequest], Awaitable[BaseModel | None]]


class Quick:
    """Answers the plain requests of its routes, and hands on everything else."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._settings = services.settings
        self._routes = {
            ("POST", "/auth/login"): Route("/auth/login", self._login),
            ("POST", "/auth/refresh"): Route("/auth/refresh", self._refresh),
            ("GET", "/auth/me"): Route("/auth/me", self._me),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        request = PlainRequest(scope, receive)
        scope["route"] = route
        try:
            told = await route.answer(request) if len(request.headers) == len(scope["headers"]) else None
        except Refused as refused:
            await answer_to(Request(scope), refused, self._settings.base_url)(scope, receive, send)
            return
        if told is None:
            await self._app(scope, request.receive_again, send)
        else:
            await _send_json(to_json(told), send)

    async def _login(self, request: PlainRequest) -> BaseModel | None:
        if b"x-auth-cookie" in request.headers:
            return None
        self._services.lane.ensure_room()
        body = await request.body(LoginBody)
        if body is None:
            return None
        password = body.password.get_secret_value()
        pair = await self._services.sessions.login(body.email, body.username, password, self._origin(request))
        return tokens_of(pair, self._settings)

    async def _refresh(self, request: PlainRequest) -> BaseModel | None:
        key = request.text(b"idempotency-key") if b"idempotency-key" in request.headers else None
        body = await request.body(RefreshTokenBody)
        if body is None or body.refresh_token is None or (key is not None and not IDEMPOTENCY_KEY.fullmatch(key)):
            return None
        self._origin(request)
        pair = await self._services.sessions.refresh(body.refresh_token.get_secret_value(), key)
        return tokens_of(pair, self._settings)

    async def _me(self, request: PlainRequest) -> BaseModel | None:
        self._origin(request)
        bearer = await self._services.bearers.identify(bearer_token([request.text(b"authorization")]))
        return Account.model_validate(await self._services.registration.show(bearer))

    def _origin(self, request: PlainRequest) -> Device:
        """Return where the request comes from, and note it for the security trail."""
        peer = request.scope["client"][0] if request.scope["client"] else ""
        forwarded = request.text(b"x-forwarded-for")
        device = device_of(request.text(b"user-agent"), peer, forwarded, self._settings.proxy)
        note(device)
        return device


async def _send_json(body: bytes, send: Send) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
