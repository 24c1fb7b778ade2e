"""Ended sessions stay refused when the news about them does not come: the database is asked, until it does again."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.processes import client_of, events
from tests.support.server import Server
from tests.support.sql import run_sql

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
HANG_UP = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'auth_service'
"""


async def signed_in(client: Client) -> dict[str, Any]:
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    return await client.sign_in(email)


async def own_sessions(client: httpx.AsyncClient, tokens: dict[str, Any]) -> int:
    answer = await client.get("/auth/sessions", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    return answer.status_code


async def end_elsewhere(url: str, tokens: dict[str, Any]) -> None:
    """End a session as another process would."""
    statement = "UPDATE refresh_tokens SET revoked_at = now(), revoked_reason = 'logout' WHERE id = $1"
    await run_sql(url, statement, tokens["session_id"])


async def readiness(client: Client) -> str:
    """What the service says about its news, if it is ready."""
    return str((await client.get("/health/ready")).json().get("revocations"))


HIDE, SHOW = "ALTER TABLE deleted_sessions RENAME TO hidden;", "ALTER TABLE hidden RENAME TO deleted_sessions;"
UNREADABLE = {
    "a table that is missing": (HIDE, SHOW),
    "an error that nobody foresaw": (
        HIDE + "CREATE VIEW deleted_sessions AS SELECT session_id, deleted_at FROM hidden WHERE 1 / length('') = 1;"
        "GRANT ALL ON deleted_sessions TO PUBLIC",  # a missing grant would be another cause
        "DROP VIEW deleted_sessions;" + SHOW,
    ),
}


@pytest.mark.parametrize("cause", UNREADABLE)
async def test_without_news_the_database_is_asked_and_the_operator_is_told_once(
    postgres: Postgres, postgres_url: str, tmp_path: Path, cause: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    env = environment(
        postgres_url,
        AUTH_REVOCATIONS__LISTEN="false",
        AUTH_REVOCATIONS__POLL_INTERVAL="0.2",
        AUTH_REVOCATIONS__STALE_AFTER="1",
    )
    with Server(env, tmp_path) as server:
        server.wait_ready()
        async with client_of(server) as client:
            ended, alive = await signed_in(client), await signed_in(client)
            await eventually(says, client, "fresh")
            before = told(server)  # nothing, unless the machine has stood still
            postgres.execute(UNREADABLE[cause][0], database)
            await eventually(says, client, "stale")
            await end_elsewhere(postgres_url, ended)
            assert await own_sessions(client, ended) == 401
            assert await own_sessions(client, alive) == 200
            await asyncio.sleep(1)  # five more polls: they have nothing new to tell
            assert told(server) - before == Counter(stale=1)
            postgres.execute(UNREADABLE[cause][1], database)
            await eventually(says, client, "fresh")
            assert await own_sessions(client, ended) == 401
            assert await own_sessions(client, alive) == 200
            assert told(server) - before == Counter(stale=1, fresh=1)


def told(server: Server) -> Counter[str]:
    """How often the operator was told that news are old, and that they are not any more."""
    stale, fresh = events(server.log(), "revocations.stale", level="warning"), events(server.log(), "revocations.fresh")
    return Counter(stale=len(stale), fresh=len(fresh))


async def says(client: Client, word: str) -> bool:
    return await readiness(client) == word


async def test_a_logout_reaches_both_workers_on_an_sqlite_file(tmp_path: Path) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db")
    with Server(env, tmp_path, workers=2) as server:
        server.wait_ready()
        async with client_of(server) as client:
            ended = [await signed_in(client) for _ in range(3)]
            for tokens in ended:
                assert (await client.logout(tokens["refresh_token"])).status_code == 204
        await asyncio.sleep(2)  # the promise; before it some workers may still say 200
        for tokens in ended:
            assert Counter(await asyncio.gather(*(asked_anew(server, tokens) for _ in range(20)))) == {401: 20}


async def asked_anew(server: Server, tokens: dict[str, Any]) -> int:
    """Ask on a connection of its own, which either worker may take."""
    async with client_of(server) as client:
        return await own_sessions(client, tokens)


async def test_a_lost_listening_connection_comes_back(postgres_url: str, tmp_path: Path) -> None:
    slow_poll = {"AUTH_REVOCATIONS__POLL_INTERVAL": "5", "AUTH_REVOCATIONS__STALE_AFTER": "60"}
    with Server(environment(postgres_url, **slow_poll), tmp_path) as server:
        server.wait_ready()
        async with client_of(server) as client:
            tokens = [await signed_in(client) for _ in range(3)]
            await eventually(run_sql, postgres_url, LISTENERS)
            (lost,) = await run_sql(postgres_url, LISTENERS)
            await run_sql(postgres_url, "SELECT pg_terminate_backend($1, 5000)", lost[0])
            await eventually(run_sql, postgres_url, LISTENERS, seconds=15)
            assert await run_sql(postgres_url, LISTENERS) != [lost]
            # Three in a row within the time of one poll: only notifications can tell of all of them.
            for each in tokens:
                await end_elsewhere(postgres_url, each)
                await eventually(is_refused, client, each, seconds=1)


async def is_refused(client: Client, tokens: dict[str, Any]) -> bool:
    return await own_sessions(client, tokens) == 401


async def test_news_come_again_after_a_time_in_which_no_server_took_writes(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """The middle of a failover, as a URL of several hosts meets it: every server answers, and none will do."""
    database = postgres_url.rpartition("/")[2]
    env = environment(f"{postgres_url}?target_session_attrs=read-write", AUTH_LOG__LEVEL="debug")
    with Server(env, tmp_path) as server:
        server.wait_ready()
        async with client_of(server) as client:
            tokens = await signed_in(client)
            await eventually(run_sql, postgres_url, LISTENERS)
            postgres.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
            await run_sql(postgres_url, HANG_UP)
            await eventually(logged, server, "revocations.not_listening", seconds=15)
            postgres.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
            await eventually(run_sql, postgres_url, LISTENERS, seconds=15)
            await eventually(says, client, "fresh", seconds=15)
            await end_elsewhere(postgres_url, tokens)
            await eventually(is_refused, client, tokens, seconds=2)


async def logged(server: Server, name: str, times: int = 2) -> bool:
    """The event was written so many times: the first tells of the loss, the second of a search in vain."""
    return len(events(server.log(), name)) >= times


FULL_DISK = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER fail BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()
"""


async def test_an_eviction_is_told_although_the_login_could_not_be_noted(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    with Server(environment(postgres_url, AUTH_SESSIONS__MAX_PER_USER="1"), tmp_path) as server:
        server.wait_ready()
        async with client_of(server) as client:
            await client.register("ada@example.com")
            oldest = await client.sign_in()
            postgres.execute(FULL_DISK, postgres_url.rpartition("/")[2])
            assert (await client.login()).status_code == 200
            assert await own_sessions(client, oldest) == 401
        assert len(events(server.log(), "login.not_recorded")) == 1
        assert len(events(server.log(), "session.ended", sid=oldest["session_id"], reason="evicted")) == 1
