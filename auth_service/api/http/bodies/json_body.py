"""Routes whose requests are read strictly: the body before FastAPI looks at it, and no query parameter twice."""

import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from auth_service.api.http.bodies.json_document import parse
from auth_service.api.http.bodies.media_type import require_type
from auth_service.api.http.lazy_route import LazyRoute
from auth_service.services.passwords.hashing_lane import client_disconnect

# Refused at the door when no password could be hashed in time: to read and parse a flood first would double its cost.
HASHING = frozenset({"/auth/login", "/auth/register", "/auth/me/password", "/auth/me/email", "/auth/reset-password"})


class StrictJsonRoute(LazyRoute):
    """A route whose body is checked before FastAPI looks at it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:

            async def check_query_and_handle(request: Request) -> Response:
                return await handle(_StrictRequest(request.scope, request.receive))

            return check_query_and_handle
        # Has the validator built, which `Body` puts off until it is used. FastAPI gives each body a name, of which
        # pydantic warns as it builds; FastAPI mutes that where it builds by itself.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
            self.body_field.validate(None)
        may_be_left_out = not self.body_field.field_info.is_required()

        async def check_and_handle(request: Request) -> Response:
            if self.path in HASHING:
                request.app.state.services.lane.ensure_room()
            strict = _StrictRequest(request.scope, request.receive)
            if may_be_left_out and not await strict.body():
                return await handle(strict)
            require_type(request.headers, "application/json")
            strict.document = parse(await strict.body())
            watch_for_disconnect(request.receive)
            return await handle(strict)

        return check_and_handle


def watch_for_disconnect(receive: Receive) -> None:
    """Let a wait for a hash of this request end when its client hangs up. To be called once the body is read."""
    client_disconnect.set(partial(_wait_for_disconnect, receive))


async def _wait_for_disconnect(receive: Receive) -> NoReturn:
    """Wait until the client hangs up; raises `ClientDisconnect` then."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect


class _EachOnce(QueryParams):
    """Tells a parameter that stands there twice as a list, which is refused unless a list is asked for."""

    def get(self, key: Any, default: Any = None) -> Any:
        values = self.getlist(key)
        return values if len(values) > 1 else super().get(key, default)


class _StrictRequest(Request):
    document: Any = None

    @property
    def query_params(self) -> QueryParams:
        return _EachOnce(self.scope["query_string"])

    async def json(self) -> Any:
        return self.document
