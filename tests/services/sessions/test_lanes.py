"""A slow password hash holds nothing that others need: no connection, and no place but in its own bounded lane."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient, environment
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.polling import eventually
from tests.support.processes import events
from tests.support.raw_http import exchange
from tests.support.server import Server
from tests.support.sql import run_sql

SLOW_HASH = {"AUTH_PASSWORD__ARGON2_MEMORY_KIB": "19456", "AUTH_PASSWORD__ARGON2_TIME_COST": "100"}
INTERNAL = "internal-token-of-the-tests"
LOGIN_WITHOUT_ITS_BODY = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
)
OURS = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'auth_service'"


@pytest.fixture
async def tokens(ada: Client, database_url: str) -> dict[str, Any]:
    """A session of ada's, opened by a service that hashes fast and that then leaves the database to the slow one."""
    found = await ada.sign_in()
    await run_sql(database_url, OURS.replace("state", "pg_terminate_backend(pid)"))
    return found


@asynccontextmanager
async def slow_service(url: str, folder: Path, **extra: str) -> AsyncIterator[Client]:
    """A real service whose password hashes take more than a second."""
    with Server({**environment(url), **SLOW_HASH, "AUTH_INTERNAL_TOKEN": INTERNAL, **extra}, folder) as slow:
        slow.wait_ready(60)
        async with Client(base_url=slow.base_url, trust_env=False, timeout=60) as client:
            yield client


@on_postgresql
async def test_no_connection_is_held_while_a_password_is_hashed(
    tokens: dict[str, Any], database_url: str, tmp_path: Path
) -> None:
    async with slow_service(database_url, tmp_path, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0") as client:
        login = asyncio.create_task(client.login())
        await eventually(is_hashing, client)
        await client.rotate(tokens["refresh_token"], times=3)
        assert ("idle in transaction",) not in await run_sql(database_url, OURS), "nothing is left open meanwhile"
        assert not login.done(), "all that happened while the password was being hashed"
        assert (await login).status_code == 200


async def metric(client: Client, name: str) -> float:
    page = (await client.get("/metrics", headers={"X-Internal-Token": INTERNAL})).text
    return float(page.partition(f"\n{name} ")[2].split()[0])


async def is_hashing(client: Client) -> bool:
    """Whether a hash has begun, for an attempt that was reserved before, and has not ended."""
    begun, ended = [await metric(client, f"auth_hashing_{of}_count") for of in ("wait_seconds", "seconds")]
    return begun > ended


@on_postgresql
async def test_a_full_hashing_lane_is_a_503_at_once_and_holds_up_nothing_else(
    tokens: dict[str, Any], database_url: str, tmp_path: Path
) -> None:
    lane = {"AUTH_HASHING__THREADS": "1", "AUTH_HASHING__QUEUE": "1", "AUTH_HASHING__DEADLINE": "30"}
    async with slow_service(database_url, tmp_path, **lane) as client:
        logins = [asyncio.create_task(client.login()) for _ in range(8)]
        refused = [await login for login in await first(6, logins)]
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
        await client.rotate(tokens["refresh_token"], times=3)
        for health in ("live", "ready", "db"):
            assert (await client.get(f"/health/{health}")).status_code == 200
        assert sum(login.done() for login in logins) == 6, "all that happened while the lane was full"
        assert sorted(answer.status_code for answer in await asyncio.gather(*logins)) == [200] * 2 + [503] * 6


async def first(number: int, tasks: list[asyncio.Task[httpx.Response]]) -> list[asyncio.Task[httpx.Response]]:
    """The tasks that are done first."""
    finished = asyncio.as_completed(tasks)
    for _ in range(number):
        await next(finished)
    return [task for task in tasks if task.done()]


@on_postgresql
async def test_a_flood_is_refused_before_it_costs_the_database_anything(
    tokens: dict[str, Any], database_url: str, tmp_path: Path
) -> None:
    """Every statement about an account would wait for the locked table, and end as `database-unavailable`."""
    lane = {"AUTH_HASHING__THREADS": "1", "AUTH_HASHING__QUEUE": "0", "AUTH_HASHING__DEADLINE": "30"}
    async with slow_service(database_url, tmp_path, **lane) as client, gate(database_url) as locked:
        await client.me(tokens["access_token"])
        hashing = asyncio.create_task(client.login())
        await eventually(is_hashing, client)
        await locked.close("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        unread = await asyncio.to_thread(exchange, client.base_url.port or 80, LOGIN_WITHOUT_ITS_BODY)
        assert (unread.status, unread.json()["code"]) == (503, "overloaded"), "nor is it read"
        refused = [
            await client.login(),
            await client.register("grace@example.com"),
            await client.change_password(tokens["access_token"], PASSWORD, "another long password"),
        ]
        assert not hashing.done(), "all that happened while the lane was full"
        await locked.open()
        assert [answer.json()["code"] for answer in refused] == ["overloaded"] * 3
        hashing.cancel()


@on_postgresql
async def test_a_client_that_hangs_up_leaves_its_place_in_the_queue_to_others(
    tokens: dict[str, Any], database_url: str, tmp_path: Path
) -> None:
    lane = {"AUTH_HASHING__THREADS": "1", "AUTH_HASHING__QUEUE": "1", "AUTH_HASHING__DEADLINE": "30"}
    async with slow_service(database_url, tmp_path, **lane) as client:

        async def waiting(number: int) -> bool:
            return await metric(client, "auth_hashing_waiting") == number

        hashing = asyncio.create_task(client.login())
        await eventually(is_hashing, client)
        impatient = asyncio.create_task(client.login())
        await eventually(waiting, 1)
        assert (await client.login()).status_code == 503
        impatient.cancel()  # httpx closes the connection of a request that is given up
        await eventually(waiting, 0)
        patient = asyncio.create_task(client.login())
        await eventually(waiting, 1)
        assert not hashing.done(), "the place was free before the thread was"
        hashing.cancel()
        patient.cancel()


async def test_the_metrics_count_hashes_and_those_refused(make_client: MakeClient) -> None:
    client = await make_client(internal_token=INTERNAL, hashing={"threads": 3})
    await client.register("grace@example.com")
    await client.sign_in("grace@example.com")
    assert await metric(client, "auth_hashing_threads") == 3
    assert await metric(client, "auth_hashing_shed_total") == 0
    assert await metric(client, "auth_hashing_seconds_count") == 2
    assert await metric(client, "auth_hashing_seconds_sum") > 0


def test_at_start_one_line_says_how_large_the_lane_is_and_why(tmp_path: Path) -> None:
    env = environment(
        f"sqlite+aiosqlite:///{tmp_path}/auth.db", AUTH_HASHING__THREADS="3", AUTH_HASHING__DEADLINE="1.5"
    )
    with Server(env, tmp_path) as server:
        server.wait_ready()
        (line,) = events(server.log(), "hashing.sized")
    assert (line["threads"], line["because"], line["queue"], line["deadline"]) == (3, "set", 500, 1.5)
    assert {"cores", "cpu_quota", "memory_limit_mib", "argon2"} <= line.keys()
