"""The service's clock and the database's differ, or one is set: no fresh token is refused, and none lives on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import environment
from tests.support import roles
from tests.support.client import Client, bearer
from tests.support.forge import part
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.processes import client_of, events
from tests.support.server import Server, run_command
from tests.support.sql import run_sql

INTERNAL = "internal-token-of-the-tests"
TEN_MINUTES = 600  # seconds
# What the service's role hears instead of the server's clock.
CLOCK = """
CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
    AS $$ SELECT pg_catalog.clock_timestamp() + interval '{ahead} seconds' $$;
CREATE OR REPLACE FUNCTION public.statement_timestamp() RETURNS timestamptz LANGUAGE sql
    AS $$ SELECT pg_catalog.statement_timestamp() + interval '{ahead} seconds' $$;
ALTER ROLE "{role}" IN DATABASE "{name}" SET search_path = public, pg_catalog;
"""

SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(postgres: Postgres, postgres_url: str) -> SetClock:
    """Sets the database's clock, as far as the service sees it, so many seconds ahead."""
    name = postgres_url.rpartition("/")[2]
    role = urlsplit(roles.as_role(postgres_url, "app")).username

    def set_ahead(seconds: float) -> None:
        postgres.execute(CLOCK.format(ahead=seconds, role=role, name=name), database=name)

    return set_ahead


@asynccontextmanager
async def serving(url: str, folder: Path, **settings: str) -> AsyncIterator[tuple[Server, Client]]:
    with Server(environment(url, AUTH_INTERNAL_TOKEN=INTERNAL, **settings), folder) as server:
        server.wait_ready()
        async with client_of(server) as client:
            await client.register("ada@example.com")
            yield server, client


async def doors(client: Client, access_token: str) -> list[bool]:
    """Which of them open: a route, verify and introspection."""
    inside = {"X-Internal-Token": INTERNAL}
    told = await client.post("/internal/introspect", data={"token": access_token}, headers=inside)
    verified = await client.get("/internal/verify", headers=inside | bearer(access_token))
    listed = await client.get("/auth/sessions", headers=bearer(access_token))
    return [listed.is_success, verified.is_success, bool(told.json().get("active"))]


@pytest.mark.parametrize("ahead", [TEN_MINUTES, -TEN_MINUTES])
async def test_a_service_whose_clock_is_ten_minutes_off_takes_every_fresh_token_and_says_so(
    postgres_url: str, set_clock: SetClock, tmp_path: Path, ahead: int
) -> None:
    set_clock(ahead)
    async with serving(postgres_url, tmp_path) as (server, client):
        tokens = await client.sign_in()
        assert await doors(client, tokens["access_token"]) == [True] * 3
        tokens = await client.rotate(tokens["refresh_token"])
        assert await doors(client, tokens["access_token"]) == [True] * 3
        ready = (await client.get("/health/ready")).json()
        assert (ready["status"], ready["clock"]) == ("ok", "apart")
        assert f"{ahead:+.0f}"[:4] in ready["detail"] or f"{ahead - 1:+.0f}"[:4] in ready["detail"]
        (warned,) = events(server.log(), "clock.apart", level="warning")
        assert abs(warned["offset"] - ahead) < 2
        doctor = await asyncio.to_thread(
            run_command, "doctor", "--json", "--target", "10", env=environment(postgres_url), cwd=tmp_path
        )
        found = {check["name"]: check["ok"] for check in json.loads(doctor.stdout)["checks"]}
        assert found["clock"] is False
        set_clock(0)
        await eventually(is_together, client, seconds=10)
        assert len(events(server.log(), "clock.together")) == 1


async def is_together(client: Client) -> bool:
    answer = (await client.get("/health/ready")).json()
    return bool(answer["clock"] == "together" and "detail" not in answer)


@pytest.mark.parametrize("ahead", [TEN_MINUTES, -TEN_MINUTES])
async def test_a_token_lives_no_longer_on_a_service_whose_clock_is_behind_and_no_shorter_on_one_that_is_ahead(
    postgres_url: str, set_clock: SetClock, tmp_path: Path, ahead: int
) -> None:
    set_clock(ahead)
    async with serving(postgres_url, tmp_path, AUTH_TOKENS__ACCESS_LIFETIME="3") as (_, client):
        access = (await client.sign_in())["access_token"]
        issued, expires = part(access, 1)["iat"], part(access, 1)["exp"]
        assert expires - issued == 3
        while await database_time(postgres_url, ahead) < expires - 0.5:
            assert await doors(client, access) == [True] * 3 or await database_time(postgres_url, ahead) > expires - 0.5
            await asyncio.sleep(0.1)
        await asyncio.sleep(max(0.0, expires + 0.05 - await database_time(postgres_url, ahead)))
        assert await doors(client, access) == [False] * 3


async def database_time(url: str, ahead: int) -> float:
    ((now,),) = await run_sql(url, "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8")
    return float(now) + ahead


@pytest.mark.parametrize("ahead", [TEN_MINUTES, -TEN_MINUTES])
async def test_a_database_whose_clock_is_set_under_a_running_service_costs_nobody_a_fresh_token(
    postgres_url: str, set_clock: SetClock, tmp_path: Path, ahead: int
) -> None:
    set_clock(0)
    async with serving(postgres_url, tmp_path) as (_, client):
        assert await doors(client, (await client.sign_in())["access_token"]) == [True] * 3
        set_clock(ahead)
        tokens = await client.sign_in()
        assert abs(part(tokens["access_token"], 1)["iat"] - await database_time(postgres_url, ahead)) < 5
        assert await doors(client, tokens["access_token"]) == [True] * 3, "not even before the next reading"


@pytest.mark.parametrize("kind", ["sqlite-file", "postgresql"])
async def test_where_the_clocks_agree_nothing_is_said_of_them(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    is_sqlite = kind == "sqlite-file"
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db" if is_sqlite else request.getfixturevalue("postgres_url")
    async with serving(url, tmp_path) as (server, client):
        assert await doors(client, (await client.sign_in())["access_token"]) == [True] * 3
        assert await is_together(client)
        assert events(server.log(), "clock.apart") == []
