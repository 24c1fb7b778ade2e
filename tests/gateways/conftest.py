"""Fixtures for the gateways: each started for real, once, before the real service and an application that echoes."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.conftest import environment
from tests.support.client import PASSWORD
from tests.support.echo_upstream import EchoUpstream, Received
from tests.support.gateway_commands import Site
from tests.support.gateways import KINDS, PACKAGED, Gateway, Kind, started
from tests.support.postgres import Postgres
from tests.support.server import Server

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
    ) -> Place:
        """Start one more, which ends with the stack; another server may stand where the service should be."""
        site = Site(auth_port or self._service.port, self._upstream.port, token)
        folder = self._folder / uuid4().hex
        place = Place(stack.enter_context(started(kind, site, folder, edit=edit)), self._upstream)
        stack.callback(place.client.close)
        return place

    def all(self) -> list[Place]:
        return [self.place(kind) for kind in KINDS.values() if kind.is_installed]


@pytest.fixture(scope="session")
def gateways_database(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    name = f"gateways_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def service(postgres: Postgres, gateways_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN,
        "AUTH_PROXY__TRUSTED": "127.0.0.1/32",
        "AUTH_LOG__FORMAT": "json",
    }
    running = Service(environment(postgres.url(gateways_database), **settings), tmp_path_factory.mktemp("service"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def upstream() -> Iterator[EchoUpstream]:
    with EchoUpstream() as running:
        yield running


@pytest.fixture(scope="session")
def fleet(service: Service, upstream: EchoUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(service, upstream, tmp_path_factory.mktemp("gateways"), stack)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each gateway in turn. Those that Debian has are never skipped in CI."""
    found = KINDS[request.param]
    if not found.is_installed and not (os.environ.get("CI") and found.name in PACKAGED):
        pytest.skip(f"{found.name} is not installed{found.hint}")
    return found


@pytest.fixture
def place(kind: Kind, fleet: Fleet) -> Place:
    return fleet.place(kind)


@pytest.fixture(scope="session")
def accounts(service: Service, postgres: Postgres, gateways_database: str) -> dict[str, str]:
    """The ids of ada@example.com, who is a user, and root@example.com, who is an admin."""
    found = {}
    for name in ("ada", "root"):
        body = {"email": f"{name}@example.com", "password": PASSWORD}
        answer = httpx.post(f"http://127.0.0.1:{service.port}/auth/register", json=body, trust_env=False, timeout=30)
        found[name] = answer.raise_for_status().json()["id"]
    postgres.execute("UPDATE users SET role = 'admin' WHERE email_canonical = 'root@example.com'", gateways_database)
    return found


def _sign_in(service: Service, name: str, user_id: str) -> User:
    body = {"email": f"{name}@example.com", "password": PASSWORD}
    answer = httpx.post(f"http://127.0.0.1:{service.port}/auth/login", json=body, trust_env=False, timeout=30)
    return User(user_id, answer.raise_for_status().json())


@pytest.fixture
def ada(service: Service, accounts: dict[str, str]) -> User:
    """An ordinary user with a session of this test's own."""
    return _sign_in(service, "ada", accounts["ada"])


@pytest.fixture
def root(service: Service, accounts: dict[str, str]) -> User:
    """A user with the role admin."""
    return _sign_in(service, "root", accounts["root"])


@pytest.fixture
def mark() -> str:
    """A part of a path that no other test uses."""
    return uuid4().hex
