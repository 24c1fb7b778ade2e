"""JSON bodies, read strictly: UTF-8, one meaning for each name, finite numbers, and every refusal in milliseconds."""

import json
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from auth_service.api.http.media_type import require_type
from auth_service.api.http.problems import MalformedJson
from auth_service.errors import InvalidInput
from auth_service.services.passwords.hashing_lane import client_disconnect

# Refused at the door when no password could be hashed in time: to read and parse a flood first would double its cost.
HASHING = frozenset({"/auth/login", "/auth/register", "/auth/me/password", "/auth/me/email", "/auth/reset-password"})


class StrictJsonRoute(APIRoute):
    """A route whose body is checked before FastAPI looks at it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
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


class _StrictRequest(Request):
    document: Any = None

    async def json(self) -> Any:
        return self.document


def parse(body: bytes) -> Any:
    """Return the document.

    Raises:
        MalformedJson: not UTF-8, not JSON, nested too deeply, or an object that names something twice.
        InvalidInput: a number that is not finite.
    """
    try:
        return _decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedJson from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values for one name mean different things to different parsers (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("A name stands twice in one object.")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        _refuse_constant(number)
    return value


def _refuse_constant(_constant: str) -> NoReturn:
    raise InvalidInput("body", "Numbers must be finite.")


# Made once: json.loads makes one for each document.
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
