"""The real service behind each gateway: both as a test holds them, and who is signed in there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psutil

from .echo_upstream import EchoUpstream, Received
from .gateway_commands import Site
from .gateways import KINDS, Gateway, Kind, started
from .server import Server

INTERNAL_TOKEN = "internal-token-of-the-tests"
CLIENT_ADDRESS = "127.0.0.9"  # the gateway is 127.0.0.1


class Service:
    """The real service on a database of its own; it may be stopped and started, and keeps its port."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._env, self._folder = env, folder
        self._server = Server(env, folder)
        self._server.wait_ready(60)
        self.port = self._server.port

    def stop(self) -> None:
        self._server.close()

    def start(self) -> None:
        self._server = Server(self._env, self._folder, port=self.port)
        self._server.wait_ready(60)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process in the middle of whatever it does, for the length of the block."""
        processes = [psutil.Process(pid) for pid in self._server.worker_pids()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def log(self) -> str:
        return self._server.log()


class Place:
    """A gateway before the service and the application, and a client of it that has an address of its own."""

    def __init__(self, gateway: Gateway, upstream: EchoUpstream) -> None:
        self.gateway = gateway
        self.kind = gateway.kind
        self.port = gateway.port
        self._upstream = upstream
        transport = httpx.HTTPTransport(local_address=CLIENT_ADDRESS)
        self.client = httpx.Client(base_url=gateway.base_url, transport=transport, trust_env=False, timeout=30)

    def heard(self, mark: str) -> list[Received]:
        """The requests that the application has got whose target has `mark` in it."""
        return [request for request in self._upstream.received if mark in request.target]


@dataclass(frozen=True)
class User:
    """A signed-in user, who has signed in past the gateway."""

    id: str
    tokens: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


class Fleet:
    """All gateways of this machine, each started when it is first asked for."""

    def __init__(self, service: Service, upstream: EchoUpstream, folder: Path, stack: ExitStack) -> None:
        self._service, self._upstream, self._folder, self._stack = service, upstream, folder, stack
        self._places: dict[str, Place] = {}

    def place(self, kind: Kind) -> Place:
        if kind.name not in self._places:
            self._places[kind.name] = self.start(kind, self._stack)
        return self._places[kind.name]

    def start(
        self,
        kind: Kind,
        stack: ExitStack,
        *,
        edit: Callable[[str, str], str] | None = None,
        token: str = INTERNAL_TOKEN,
        auth_port: int | None = None,
        app_port: int | None = None,
    ) -> Place:
        """Start one more, which ends with the stack; others may stand in for the service and the application."""
        site = Site(auth_port or self._service.port, app_port or self._upstream.port, token)
        folder = self._folder / uuid4().hex
        place = Place(stack.enter_context(started(kind, site, folder, edit=edit)), self._upstream)
        stack.callback(place.client.close)
        return place

    def all(self) -> list[Place]:
        return [self.place(kind) for kind in KINDS.values() if kind.is_installed]
