"""Around every request: an id, one log line, the headers of every answer, limits, and what refusals and faults tell."""

import asyncio
import re
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from auth_service.api.http.denials import Denials
from auth_service.api.http.headers import complete
from auth_service.api.http.problems import (
    BodyTooLarge,
    HeadersTooLarge,
    InternalError,
    RequestTimeout,
    answer,
    answer_to,
)
from auth_service.api.http.request_counts import RequestCounts
from auth_service.api.http.traces import give_ids, told_trace
from auth_service.api.requests.client import address_of
from auth_service.errors import Refused, Unavailable
from auth_service.logs import REQUEST_ID, USER_ID
from auth_service.models import REQUESTER, THE_SERVICE
from auth_service.settings import ProxySettings

log = structlog.get_logger()

MAX_BODY_BYTES = 16 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADER_LINES = 100
BODY_SECONDS = 10.0
QUIET_PATHS = ("/health/", "/internal/verify")
UNKNOWN_PATH = "(unknown)"  # a path that is no route is a client's text, and may be a token
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it, in our log alone
ARRIVED = "auth_service.arrived"  # in the scope, by the server: the body is here, and needs no deadline

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestContext:
    """Gives the request its id, in and out, its answer the headers of every answer, and writes one line about it."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, proxy: ProxySettings, took: float = 0.0) -> None:
        self._app = app
        self._took = took  # seconds that passed before, for whoever asks for the context late
        self._observe = counts.observe
        self._proxy = proxy
        self._log = log.bind()  # put together once, and not for each request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = value_of(b"x-request-id", scope)
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid7())
        REQUEST_ID.set(request_id)
        USER_ID.set(None)
        REQUESTER.set(THE_SERVICE)  # until the route says who it is
        give_ids(scope)
        started, status = time.perf_counter(), 0

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = complete(message.get("headers", ()), request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_completed)
        except ClientDisconnect:  # the client has gone, and it is no fault of ours
            status = status or CLIENT_CLOSED_REQUEST
        finally:
            seconds, route = time.perf_counter() - started + self._took, getattr(scope.get("route"), "path", None)
            self._observe(route, scope["method"], status, seconds)
            write = self._log.debug if scope["path"].startswith(QUIET_PATHS) else self._log.info
            write(
                "request", **_summary(scope, route, status, seconds), **_client(scope, self._proxy), **told_trace(scope)
            )


class ErrorBoundary:
    """Answers when the app did not: a refusal, a fault of ours, and when the service ends before the request does."""

    def __init__(self, app: ASGIApp, base_url: str, denials: Denials) -> None:
        self._app = app
        self._base_url = base_url
        self._denials = denials

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (self._call if scope["type"] == "http" else self._app)(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def watch(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            raise
        except Exception as error:
            refused = error if isinstance(error, Refused) else InternalError()
            if answered or refused is not error:  # a fault of ours, which is logged without values
                log.exception("request.failed", exc_info=error)
            self._denials.record(refused, scope)
            if not answered:
                await answer_to(Request(scope), refused, self._base_url)(scope, receive, send)
        except asyncio.CancelledError:
            if not answered:
                await answer(Unavailable(), self._base_url, {"Connection": "close"})(scope, receive, send)
            raise


def _summary(scope: Scope, route: str | None, status: int, seconds: float) -> dict[str, Any]:
    """What the access line says: the route's own path where there is one, and never a query string."""
    path, milliseconds = route or UNKNOWN_PATH, round(seconds * 1000, 2)
    return {"method": scope["method"], "path": path, "status": status, "ms": milliseconds}


def _client(scope: Scope, proxy: ProxySettings) -> dict[str, str]:
    """Whose request it was, as far as that is known."""
    ip, user_id = address_of(scope, proxy), USER_ID.get()
    found = {"ip": ip} if ip else {}
    return found | {"user_id": str(user_id)} if user_id else found


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
            if _declared_length(scope) > MAX_BODY_BYTES:
                raise BodyTooLarge
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
