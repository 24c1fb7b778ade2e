"""Around every request: an id, one log line, and the headers of every answer."""

import re
import time
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from auth_service.api.http.middleware.headers import complete
from auth_service.api.http.middleware.limits import value_of
from auth_service.api.http.middleware.request_counts import RequestCounts
from auth_service.api.http.middleware.traces import give_ids, told_trace
from auth_service.api.requests.client import address_of
from auth_service.logs import REQUEST_ID, USER_ID
from auth_service.models import REQUESTER, THE_SERVICE
from auth_service.settings import ProxySettings

log = structlog.get_logger()

QUIET_PATHS = ("/health/", "/internal/verify")
UNKNOWN_PATH = "(unknown)"  # a path that is no route is a client's text, and may be a token
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it, in our log alone

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
        give_ids(scope, self._proxy)
        started, status = time.perf_counter(), 0

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = complete(status, message.get("headers", ()), request_id)
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


def _summary(scope: Scope, route: str | None, status: int, seconds: float) -> dict[str, Any]:
    """What the access line says: the route's own path where there is one, and never a query string."""
    path, milliseconds = route or UNKNOWN_PATH, round(seconds * 1000, 2)
    return {"method": scope["method"], "path": path, "status": status, "ms": milliseconds}


def _client(scope: Scope, proxy: ProxySettings) -> dict[str, str]:
    """Whose request it was, as far as that is known."""
    ip, user_id = address_of(scope, proxy), USER_ID.get()
    found = {"ip": ip} if ip else {}
    return found | {"user_id": str(user_id)} if user_id else found
