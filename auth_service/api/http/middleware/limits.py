"""Refuses heads and bodies that are too large or too slow, before anything is read of them."""

import asyncio
from collections.abc import Awaitable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.problems import BodyTooLarge, HeadersTooLarge, RequestTimeout

MAX_BODY_BYTES = 16 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADER_LINES = 100
BODY_SECONDS = 10.0
ARRIVED = "auth_service.arrived"  # in the scope, by the server: the body is here, and needs no deadline


def is_too_large(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a head has more bytes or more lines than we take."""
    size = sum([len(name) + len(value) + 4 for name, value in headers])
    return size > MAX_HEADER_BYTES or len(headers) > MAX_HEADER_LINES


def value_of(wanted: bytes, scope: Scope) -> bytes:
    """The value of the first header of this name, in lower case; empty if there is none."""
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return b""


class RequestLimits:
    """Refuses oversize headers and bodies before anyone parses them, and bodies that drip."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            if is_too_large(scope["headers"]):
                raise HeadersTooLarge
            declared = _declared_length(scope)
            if declared > MAX_BODY_BYTES:
                raise BodyTooLarge
            if not declared or ARRIVED not in scope:  # else the whole body is here, and as long as it was said to be
                receive = _Bounded(scope, receive).receive
        return self._app(scope, receive, send)


def _declared_length(scope: Scope) -> int:
    declared = value_of(b"content-length", scope)
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0  # noqa: PLR2004


class _Bounded:
    """Counts a body while it arrives, for a client may not say how long it is, and looks at the clock."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._size = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        message = await (self._receive() if ARRIVED in self._scope else self._receive_in_time())
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._size > MAX_BODY_BYTES:
            raise BodyTooLarge
        return message

    async def _receive_in_time(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
