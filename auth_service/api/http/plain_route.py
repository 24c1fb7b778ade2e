"""A route that answers its plain requests by itself, without the framework's work for each request.

FastAPI declares the route, and answers all that is not plain: a header or a body that it must refuse, a cookie. Which
way a request goes is decided before anything is done, and a refusal is answered by `ErrorBoundary` on both.
`tests/api/http/test_plain_route.py` holds both ways to the same answers.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.bodies.json_body import StrictJsonRoute, watch_for_disconnect
from auth_service.api.http.bodies.json_document import parse
from auth_service.api.requests.client import device_of, set_requester
from auth_service.models import Device
from auth_service.services.services import Services

Model = TypeVar("Model", bound=BaseModel)


class PlainRequest:
    """What a plain route reads of a request. `headers` are named in lower case; the framework can receive it again."""

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.services = services
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._scope = scope
        self._receive = receive
        self._read: list[Message] = []

    def names_each_header_once(self) -> bool:
        return len(self.headers) == len(self._scope["headers"])

    def text(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def device(self) -> Device:
        """Return where the request comes from, and let the security trail say so."""
        peer = self._scope["client"][0] if self._scope["client"] else ""
        forwarded = self.text(b"x-forwarded-for")
        device = device_of(self.text(b"user-agent"), peer, forwarded, self.services.settings.proxy)
        set_requester(device)
        return device

    async def body(self, model: type[Model]) -> Model | None:
        """Return the body, or None if it is not plain: of another type, cut off, or with a field to be refused."""
        is_json = self.headers.get(b"content-type") == b"application/json"
        if not is_json or b"content-encoding" in self.headers or b"x-auth-cookie" in self.headers:
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


# Returns the body of a 200, a model or a dataclass of its fields, or None if the request is not plain.
PlainAnswer = Callable[[PlainRequest], Awaitable[object | None]]


class PlainRoute(StrictJsonRoute):
    """A route that may have a plain answer; FastAPI answers whatever is not plain."""

    plain: PlainAnswer | None = None


def plain(router: APIRouter, endpoint: Callable[..., Any]) -> Callable[[PlainAnswer], PlainAnswer]:
    """Declare how the plain requests of an endpoint's route are answered."""
    [route] = [route for route in router.routes if isinstance(route, PlainRoute) and route.endpoint is endpoint]

    def declare(answer: PlainAnswer) -> PlainAnswer:
        route.plain = answer
        return answer

    return declare


class PlainFirst:
    """Asks the route of a request for its plain answer, before the framework begins its own work for the request."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], services: Services) -> None:
        self._app = app
        self._services = services
        # Their paths have no parameters: found by one look, as each request is looked for here.
        self._routes = {
            (method, route.path): (route, route.plain)
            for route in routes
            if isinstance(route, PlainRoute) and route.plain
            for method in route.methods or ()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        return self._ask(*found, scope, receive, send) if found else self._app(scope, receive, send)

    async def _ask(
        self, route: PlainRoute, plain_answer: PlainAnswer, scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope["route"] = route  # as the router says it, for the log line
        request = PlainRequest(self._services, scope, receive)
        told = await plain_answer(request) if request.names_each_header_once() else None
        if told is None:
            await self._app(scope, request.receive_again, send)
        else:
            await _send_json(to_json(told), send)


async def _send_json(body: bytes, send: Send) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
