"""Both clients in the same clothes, for tests of both; and the service on PostgreSQL beside the double."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from auth_service_client import AuthClient, Store

from auth_service.testing.double import Double
from tests.conftest import environment
from tests.support.postgres import Postgres
from tests.support.python_client import MakeAuth, Service, Waiting, links_of_mails, sign_in
from tests.support.server import Server, free_port


@pytest.fixture
def service_url(auth_double: Double) -> str:
    """Where clients look for the service unless a test says otherwise."""
    return auth_double.url


@pytest.fixture(params=["sync", "async"])
def make_auth(request: pytest.FixtureRequest, service_url: str) -> Iterator[MakeAuth]:
    """Makes clients of the service, each with the store that is given, or one of its own in memory."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(store: Store | None = None, url: str = service_url, **more: Any) -> Any:
            auth = AuthClient(url, store, **more) if request.param == "sync" else Waiting(runner, url, store, **more)
            stack.callback(auth.close)
            return auth

        yield make


@pytest.fixture
def auth(make_auth: MakeAuth) -> Any:
    """A client with a session in memory."""
    made = make_auth()
    sign_in(made)
    return made


@pytest.fixture(scope="session")
def service_on_postgresql(
    postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The real service, which sends mails and has passkeys of localhost, as the double has."""
    name, port = f"clients_{uuid4().hex}", free_port()
    postgres.create_database(name, template=migrated_template)
    with links_of_mails() as (mail_port, link):
        env = environment(
            postgres.url(name), AUTH_THROTTLE__ENABLED="false", AUTH_MAIL__HOST="127.0.0.1",
            AUTH_MAIL__PORT=str(mail_port), AUTH_MAIL__SECURITY="none", AUTH_MAIL__SENDER="auth@example.com",
            AUTH_MAIL__INTERVAL="0.1", AUTH_PASSKEYS__RP_ID="localhost",
            AUTH_PASSKEYS__ORIGINS=f"http://localhost:{port}",
        )  # fmt: skip
        with Server(env, tmp_path_factory.mktemp("clients"), port=port) as server:
            server.wait_ready(60)
            yield Service(server.base_url, link)
    postgres.drop_database(name)
