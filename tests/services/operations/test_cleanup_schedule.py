"""The clean-up that a server runs by itself, with `AUTH_CLEANUP__INTERVAL` at one second or off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from auth_service.repositories.database import Database
from tests.conftest import environment
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.sessions import HOUR, add_many_sessions, add_sessions, count_expired, opened, session_ids
from tests.support.sql import run_sql


@asynccontextmanager
async def serving(url: str, folder: Path, interval: str, workers: int = 1) -> AsyncIterator[Server]:
    env = environment(url, AUTH_CLEANUP__INTERVAL=interval)
    with Server(env, folder, workers=workers) as server:
        server.wait_ready(30)
        yield server


async def has_only(database: Database, ids: list[UUID]) -> bool:
    return await session_ids(database) == set(ids)


async def has_none_expired(url: str) -> bool:
    return await count_expired(url) == 0


async def has_logged(server: Server, event: str) -> bool:
    return event in server.log()


@pytest.mark.parametrize("kind", ["sqlite-file", "postgresql"])
async def test_a_server_deletes_expired_sessions_by_itself_and_no_others(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_sqlite = kind == "sqlite-file"
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db" if is_sqlite else request.getfixturevalue("postgres_url")
    async with opened(url) as database, serving(url, tmp_path, "1"):
        live = await add_sessions(database, HOUR) + await add_sessions(database, HOUR, revoked=True)
        await add_sessions(database, -HOUR, -2 * HOUR)
        await eventually(has_only, database, live, seconds=20)
        await add_sessions(database, -HOUR)  # not only once
        await eventually(has_only, database, live, seconds=20)


async def test_with_an_interval_of_0_a_server_deletes_nothing(postgres_url: str, tmp_path: Path) -> None:
    """Shown beside a server that was started later, with a schedule and on a database of its own."""
    other_url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    await add_many_sessions(postgres_url, expired=3)
    async with serving(postgres_url, tmp_path, "0") as without, opened(other_url) as other:
        async with serving(other_url, tmp_path, "1"):
            for _ in range(2):
                await add_sessions(other, -HOUR)
                await eventually(has_only, other, [], seconds=20)
        assert "cleanup." not in without.log()
    assert await count_expired(postgres_url) == 3


async def test_two_workers_with_a_schedule_each_are_harmless(postgres_url: str, tmp_path: Path) -> None:
    await add_many_sessions(postgres_url, expired=20_000, live=10)
    async with serving(postgres_url, tmp_path, "1", workers=2) as server:
        await eventually(has_none_expired, postgres_url, seconds=30)
        finished = server.log().count("cleanup.finished")
        await eventually(_has_finished_more_often, server, finished + 3, seconds=20)
        assert '"level":"error"' not in server.log()
        assert "cleanup.failed" not in server.log()
        assert "maximum number of running instances" not in server.log()  # a run takes longer than it is to the next
    assert await run_sql(postgres_url, "SELECT count(*) FROM refresh_tokens") == [(11,)]


async def _has_finished_more_often(server: Server, times: int) -> bool:
    return server.log().count("cleanup.finished") >= times


async def test_a_database_that_fails_does_not_end_the_schedule(tmp_path: Path) -> None:
    with Cluster.create() as cluster:
        url = cluster.url("postgres")
        assert run_command("migrate", env=environment(url), cwd=tmp_path).returncode == 0
        async with serving(url, tmp_path, "1") as server:
            await eventually(has_logged, server, "cleanup.finished", seconds=20)
            cluster.stop()
            await eventually(has_logged, server, "cleanup.failed", seconds=20)
            cluster.start()
            await add_many_sessions(url, expired=3)
            await eventually(has_none_expired, url, seconds=20)
