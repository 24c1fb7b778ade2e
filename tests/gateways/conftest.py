"""Fixtures for the gateways: each started for real, once, before the real service and an application that echoes."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.client import PASSWORD
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import INTERNAL_TOKEN, Fleet, Place, Service, User
from tests.support.gateways import KINDS, Kind, installed
from tests.support.postgres import Postgres


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
        "AUTH_THROTTLE__LOGINS": "1000",  # a minute; nearly all tests sign the same account in
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
    """Each gateway in turn."""
    return installed(request.param)


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
