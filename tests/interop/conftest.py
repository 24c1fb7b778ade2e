"""Fixtures: a real service that is its own issuer over HTTP, and somebody who looks after its keys."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.interop.node import install
from tests.support.client import Client
from tests.support.keys import Issuer, Operator
from tests.support.markdown import block
from tests.support.postgres import Postgres
from tests.support.processes import client_of
from tests.support.server import Server, free_port
from tests.support.stand_in import INTERNAL_TOKEN


@pytest.fixture(scope="module")
def place(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    name = f"interop_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    port = free_port()
    ours = {"AUTH_PUBLIC_URL": f"http://127.0.0.1:{port}", "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}
    operator = Operator(postgres.url(name), tmp_path_factory.mktemp("interop"), **ours)
    with Server(operator.env, operator.folder, port=port) as server:
        server.wait_ready()
        yield Issuer(server, operator)
    postgres.drop_database(name)


@pytest.fixture
async def client(place: Issuer) -> AsyncIterator[Client]:
    async with client_of(place.server) as client:
        yield client


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, our programs, and the snippet of the page."""
    folder = install(tmp_path_factory.mktemp("node"))
    (folder / "verify.mjs").write_text(block("docs/verifying.md", "run: node"))
    (folder / "server.mjs").write_text(block("docs/verifying.md", "run: node server"))
    return folder
