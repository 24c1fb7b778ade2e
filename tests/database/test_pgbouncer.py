"""Through PgBouncer in transaction mode, which hands every transaction to another server connection."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from auth_service.database.errors.refusals import PoolerNotDeclared
from auth_service.errors import DatabaseUnavailable
from tests.conftest import environment
from tests.support import pgbouncer, roles
from tests.support.client import Client
from tests.support.databases import MakeDatabase
from tests.support.migrations import APPLIED
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.sessions import add_expired_sessions
from tests.support.sql import run_sql

SERVER_CONNECTIONS = 2


@pytest.fixture(scope="module")
def pooler(cluster: Cluster) -> Iterator[PgBouncer]:
    if not pgbouncer.available() and not os.environ.get("CI"):
        pytest.skip("pgbouncer is not installed (on Debian: apt-get install pgbouncer)")
    with PgBouncer(cluster, pool_size=SERVER_CONNECTIONS) as running:
        yield running


@pytest.fixture
def direct_url(cluster: Cluster) -> Iterator[str]:
    """A database with the roles of the service and nothing in it, reached without PgBouncer."""
    name = f"pooled_{uuid4().hex}"
    roles.make_roles(cluster, name)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
def owner(pooler: PgBouncer, direct_url: str) -> dict[str, str]:
    """The environment of a migration through PgBouncer."""
    return environment(pooler.url(direct_url.rpartition("/")[2], "auth_owner"), DB_PGBOUNCER="true")


@pytest.fixture
def pooled(pooler: PgBouncer, direct_url: str) -> dict[str, str]:
    """The environment of a service that knows that it talks to PgBouncer."""
    return environment(pooler.url(direct_url.rpartition("/")[2], "auth_app"), DB_PGBOUNCER="true")


@pytest.fixture
async def client(
    cluster: Cluster, direct_url: str, owner: dict[str, str], pooled: dict[str, str], tmp_path: Path
) -> AsyncIterator[Client]:
    """A client of a service with two workers, on a schema that was migrated through PgBouncer."""
    assert run_command("migrate", env=owner, cwd=tmp_path).stdout == APPLIED
    roles.grant(cluster, direct_url.rpartition("/")[2])
    with Server(pooled, tmp_path, workers=2) as server:
        await asyncio.to_thread(server.wait_ready, 60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=10) as client:
            yield client


async def test_the_whole_journey_and_the_clean_up_work_on_two_server_connections(
    client: Client, direct_url: str, pooled: dict[str, str], tmp_path: Path
) -> None:
    sessions = await asyncio.gather(*(journey(client, f"user{number}@example.com") for number in range(2)))
    await assert_nothing_is_left(direct_url)
    await run_sql(direct_url, "UPDATE refresh_tokens SET expires_at = now() - interval '1 hour'")
    await add_expired_sessions(direct_url, 100)  # a backlog, for batches of 3
    done = await asyncio.to_thread(run_command, "cleanup", "--batch-size", "3", "--json", env=pooled, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert await run_sql(direct_url, "SELECT count(*) FROM refresh_tokens") == [(0,)]
    assert {(await client.refresh(token)).status_code for token in sessions} == {401}


async def assert_nothing_is_left(direct_url: str) -> None:
    """See that no transaction and no lock stays behind on a server connection."""
    here = "usename = 'auth_app' AND datname = current_database()"
    states = await run_sql(direct_url, f"SELECT state FROM pg_stat_activity WHERE {here}")
    assert set(states) == {("idle",)}
    assert len(states) <= SERVER_CONNECTIONS
    mine = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    assert await run_sql(direct_url, f"SELECT * FROM pg_locks WHERE locktype = 'advisory' AND {mine}") == []


async def journey(client: Client, email: str) -> str:
    """Register, log in, refresh six times at once, look, log out of a second session; return the newest token."""
    (await client.register(email)).raise_for_status()
    tokens, other = await client.sign_in(email), await client.sign_in(email)
    answers = await asyncio.gather(*(client.refresh(tokens["refresh_token"]) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    newest = await client.rotate(successor, times=5)
    assert (await client.me(newest["access_token"])).status_code == 200
    assert (await client.logout(other["refresh_token"])).status_code == 204
    assert (await client.refresh(other["refresh_token"])).status_code == 401
    return str(newest["refresh_token"])


async def test_five_migrators_at_once_through_a_pooler_all_succeed(owner: dict[str, str], tmp_path: Path) -> None:
    runs = [asyncio.to_thread(run_command, "migrate", env=owner, cwd=tmp_path) for _ in range(5)]
    done = await asyncio.gather(*runs)
    assert [run.returncode for run in done] == [0] * 5
    # The server of the tests has no pg_trgm; whoever does the work says so, beside which database it is.
    assert all("search.not_indexed" in line for run in done for line in run.stderr.splitlines()[1:])
    assert [run.stdout for run in done].count(APPLIED) == 1


async def test_while_the_server_behind_the_pooler_is_gone_it_is_unavailable(make_database: MakeDatabase) -> None:
    with Cluster.create() as own, PgBouncer(own) as pooler:
        database = make_database(pooler.url("postgres"), pgbouncer=True)
        await database.check()
        await asyncio.to_thread(own.stop, "immediate")
        for _ in range(3):  # a connection that was there before, and then new ones, which the pooler takes
            with pytest.raises(DatabaseUnavailable):
                await database.check()


async def test_without_the_setting_it_does_not_work(owner: dict[str, str], tmp_path: Path) -> None:
    done = run_command("migrate", env={**owner, "DB_PGBOUNCER": "false"}, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].startswith(
        "Error: A pooler in transaction mode stands before the database server"
    )
    assert "set DB_PGBOUNCER=true" in done.stderr


async def test_a_pooler_that_takes_the_settings_is_told_by_its_prepared_statements(
    cluster: Cluster, make_database: MakeDatabase
) -> None:
    ignored = "statement_timeout, lock_timeout, idle_in_transaction_session_timeout, jit, extra_float_digits"
    with PgBouncer(cluster, pool_size=SERVER_CONNECTIONS, ignored=ignored) as pooler:
        database = make_database(pooler.url("postgres"), pool_size=8)
        outcomes = [await asyncio.gather(*(database.now() for _ in range(8)), return_exceptions=True) for _ in range(4)]
    told = {type(outcome) for found in outcomes for outcome in found}
    assert PoolerNotDeclared in told
    assert told <= {PoolerNotDeclared, datetime}


@pytest.mark.parametrize(
    ("database", "user", "words"),
    [
        ("no_such_database", "postgres", "has no database of the name in DATABASE_URL"),
        ("postgres", "nobody_here", "the role or the password in DATABASE_URL is wrong"),
    ],
)
def test_what_a_pooler_refuses_is_said_as_if_the_server_did(
    pooler: PgBouncer, tmp_path: Path, database: str, user: str, words: str
) -> None:
    env = environment(pooler.url(database, user), DB_PGBOUNCER="true")
    done = run_command("users", "list", env=env, cwd=tmp_path)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
