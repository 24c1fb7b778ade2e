"""The sample service of docs/verifying.md in a process of its own, beside a real auth service on real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import Client
from tests.support.markdown import block, named
from tests.support.postgres import Postgres
from tests.support.program import uvicorn
from tests.support.server import Server
from tests.support.sql import run_sql
from tests.support.stand_in import INTERNAL_TOKEN

PROMISED = 2.0  # seconds from the acknowledgement of a logout to the first 401
PUBLIC_URL = "https://auth.example.com"


@dataclass(frozen=True)
class Place:
    """The auth service, its database, and the URL of the sample service beside it."""

    auth: Server
    database: str
    orders: str


@pytest.fixture(scope="module")
def place(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    name = f"orders_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    database = postgres.url(name)
    ours = {"AUTH_PUBLIC_URL": PUBLIC_URL, "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}
    folder = tmp_path_factory.mktemp("orders")
    (folder / "orders.py").write_text(block("docs/verifying.md", "run: orders"))
    with Server(environment(database, **ours), folder) as auth:
        auth.wait_ready()
        with uvicorn("orders:app", folder, {**ours, "INTERNAL_AUTH_URL": auth.base_url}) as orders:
            yield Place(auth, database, orders)
    postgres.drop_database(name)


@pytest.fixture
async def client(place: Place) -> AsyncIterator[Client]:
    async with Client(base_url=place.auth.base_url, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
async def orders(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=place.orders, trust_env=False, timeout=10) as http:
        yield http


async def signed_in(client: Client) -> dict[str, str]:
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    return {**await client.sign_in(email), "email": email}


async def ask(orders: httpx.AsyncClient, token: str, method: str = "GET") -> httpx.Response:
    return await orders.request(method, "/orders", headers={"Authorization": f"Bearer {token}"})


def test_the_sample_has_fifteen_lines_at_most() -> None:
    lines = [line for line in named("docs/verifying.md", "run: orders").text.splitlines() if line]
    assert len(lines) <= 15


@runs("docs/verifying.md", "run: orders")
async def test_the_sample_lets_users_in_and_nobody_else(client: Client, orders: httpx.AsyncClient) -> None:
    tokens = await signed_in(client)
    me = (await client.me(tokens["access_token"])).json()
    assert (await ask(orders, tokens["access_token"])).json() == {"owner": me["id"], "orders": []}
    for bad in (tokens["refresh_token"], tokens["access_token"][:-4] + "AAAA", "x"):
        assert (await ask(orders, bad)).status_code == 401
    assert (await orders.get("/orders")).headers["WWW-Authenticate"] == "Bearer"


async def test_the_samples_route_for_admins_is_closed_to_users(
    place: Place, client: Client, orders: httpx.AsyncClient
) -> None:
    tokens = await signed_in(client)
    assert (await ask(orders, tokens["access_token"], "DELETE")).status_code == 403
    await run_sql(place.database, "UPDATE users SET role = 'admin' WHERE email = $1", tokens["email"])
    admin = await client.sign_in(tokens["email"])
    assert (await ask(orders, admin["access_token"], "DELETE")).status_code == 200


async def test_the_sample_sees_a_logout_within_two_seconds(client: Client, orders: httpx.AsyncClient) -> None:
    for _ in range(3):
        tokens, other = await signed_in(client), await signed_in(client)
        assert (await ask(orders, tokens["access_token"])).status_code == 200
        assert (await client.logout(tokens["refresh_token"])).status_code == 204
        loop = asyncio.get_running_loop()
        acknowledged = sent = loop.time()
        while (await ask(orders, tokens["access_token"])).status_code != 401:
            assert sent < acknowledged + PROMISED, "let in two seconds after the logout"
            await asyncio.sleep(0.02)
            sent = loop.time()
        assert (await ask(orders, other["access_token"])).status_code == 200


async def test_the_sample_goes_on_while_the_auth_service_is_down(
    place: Place, client: Client, orders: httpx.AsyncClient
) -> None:
    """The last of this file: it ends the service."""
    used, new = await signed_in(client), await signed_in(client)
    assert (await ask(orders, used["access_token"])).status_code == 200
    await asyncio.to_thread(place.auth.kill)
    for tokens in (used, new):
        assert (await ask(orders, tokens["access_token"])).status_code == 200
    assert (await ask(orders, new["access_token"][:-4] + "AAAA")).status_code == 401
