"""The double as a process: its settings, its switches over HTTP, and its connections, which can be cut off."""

import json
import re
import secrets
import socket
from collections.abc import Sequence
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from auth_service.api.http.connections.protocol import Protocol
from auth_service.database import wall_clock
from auth_service.double.faults import ABORT, Fault, Faults
from auth_service.main import create_app
from auth_service.settings import Settings

SWITCHES = "/double/"
GOODBYE_SECONDS = 2
_ON_LOCALHOST = re.compile(r"http://localhost(:[0-9]+)?")
_HAS_PASSKEYS = re.compile(r"https://[^/[]*[a-z][^/:]*(:[0-9]+)?|http://localhost(:[0-9]+)?")
_FAULTS = TypeAdapter(list[Fault])


class SetAhead(BaseModel):
    """By how many seconds the double's clock is ahead of the machine's; behind, if negative."""

    model_config = ConfigDict(extra="forbid")

    ahead: float = Field(ge=-315_360_000, le=315_360_000)


class Double:
    """The service with its faults, and the routes below `/double/` that switch them."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._service = create_app(settings)
        self.faults = Faults(self._service, settings, seed)
        self._switches = Router(
            [
                Route("/double/faults", self._put_faults, methods=["PUT"]),
                Route("/double/clock", self._put_clock, methods=["PUT"]),
            ]
        )
        self.state = self._service.state  # for the protocol, which lets go of who waits when the process ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_switch = scope["type"] == "http" and scope["path"].startswith(SWITCHES)
        await (self._switches if is_switch else self.faults)(scope, receive, _dated(send))

    async def _put_faults(self, request: Request) -> Response:
        """Switch these faults on, in their order, and all others off."""
        try:
            self.faults.switched_on = _FAULTS.validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        return Response(status_code=204)

    async def _put_clock(self, request: Request) -> Response:
        try:
            told = SetAhead.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        wall_clock.set_ahead(timedelta(seconds=told.ahead))
        return Response(status_code=204)


class CutProtocol(Protocol):
    """A connection that the double can cut off."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]  # a name of ours


def listen(port: int, origins: Sequence[str]) -> tuple[socket.socket, str]:
    """Return a socket of 127.0.0.1 at this port, or at any that is free for 0, and its URL: with the host localhost for
    a page there, whose browser keeps no cookie of another site.

    Raises:
        OSError: the port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    host = "localhost" if any(map(_ON_LOCALHOST.fullmatch, origins)) else "127.0.0.1"
    return listening, f"http://{host}:{listening.getsockname()[1]}"


def serve(listening: socket.socket, settings: Settings, seed: int) -> None:
    """Serve until SIGTERM or SIGINT; print one line of JSON with the `url` before that."""
    double: Any = Double(settings, seed)  # uvicorn takes any application
    config = uvicorn.Config(
        double, http=CutProtocol, log_config=None, ws="none", access_log=False, server_header=False, lifespan="on",
        date_header=False, proxy_headers=False, timeout_graceful_shutdown=GOODBYE_SECONDS,
    )  # fmt: skip
    print(json.dumps({"url": settings.base_url}), flush=True)  # noqa: T201  # for the program that starts it
    uvicorn.Server(config).run(sockets=[listening])


def variables(base_url: str, origins: Sequence[str], file: Path | None) -> dict[str, str]:
    """Return its settings: cheap hashes, no limits, cookies for all pages that are named, passkeys for localhost, and
    no log. (A browser has no passkeys for a page at an address, nor for the shell of an app.)
    """
    pages = [*origins, base_url.replace("127.0.0.1", "localhost")]
    return {
        "DATABASE_URL": f"sqlite:///{file.absolute()}" if file else "sqlite://",
        "AUTH_PUBLIC_URL": base_url,
        "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
        "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
        "AUTH_THROTTLE__ENABLED": "false",
        "AUTH_COOKIES__ENABLED": "true",
        "AUTH_CORS__ORIGINS": ",".join(origins),
        "AUTH_PASSKEYS__RP_ID": "localhost",
        "AUTH_PASSKEYS__ORIGINS": ",".join(page for page in pages if _HAS_PASSKEYS.fullmatch(page)),
        "AUTH_LOG__LEVEL": "warning",
        **({} if file else {"AUTH_SECRET_KEY": secrets.token_urlsafe(32)}),
    }


def _dated(send: Send) -> Send:
    """Let answers say when they were given by the double's own clock, in place of the machine's."""

    async def dated(message: Message) -> None:
        if message["type"] == "http.response.start":
            date = format_datetime(wall_clock.now(), usegmt=True).encode()
            message = {**message, "headers": [*message["headers"], (b"date", date)]}
        await send(message)

    return dated


def _refusal(error: ValidationError) -> Response:
    return JSONResponse({"errors": error.errors(include_url=False, include_input=False)}, status_code=422)
