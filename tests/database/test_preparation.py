"""Migration 0015 beside running services: nothing of theirs waits, and whatever interrupts it, it can be repeated."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import asyncpg
import pytest
import sqlalchemy

from auth_service.database import migrator
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings
from tests.conftest import environment
from tests.support.migrations import alembic
from tests.support.polling import eventually
from tests.support.server import run_command
from tests.support.skeletons import add_as_an_older_service

Migrators = list[Future[CompletedProcess[str]]]

ADA = (
    "INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,"
    " created_at, updated_at) VALUES (gen_random_uuid(), 'ada@example.com', 'ada@example.com', 'x', 'user', TRUE,"
    " FALSE, 0, now(), now())"
)
MANY = (
    "INSERT INTO users (id, email, email_canonical, username, username_canonical, hashed_password, role, is_active,"
    " is_verified, credential_epoch, created_at, updated_at) SELECT gen_random_uuid(), 'many' || n || '@example.com',"
    " 'many' || n || '@example.com', 'many' || n, 'many' || n, 'x', 'user', TRUE, FALSE, 0, now(), now()"
    " FROM generate_series(1, 1500) n"
)
HALF_BUILT = "SELECT count(*) = 1 FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisvalid"
BUILDING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE%CONCURRENTLY%'"
LOCKED = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'users'::regclass AND granted "
    "AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
)


@pytest.fixture
async def line(empty_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await asyncpg.connect(empty_url)
    yield found
    await found.close()


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_services_go_on_while_indexes_are_built_and_what_was_interrupted_is_built_again(
    empty_url: str, line: asyncpg.Connection, tmp_path: Path
) -> None:
    assert run_command("migrate", "--to", "0014", "--yes", env=environment(empty_url), cwd=tmp_path).returncode == 0
    await line.execute(ADA)
    await line.execute(MANY)
    for name in ("admin", "\u0430dmin", "grace"):
        await add_as_an_older_service(empty_url, name)
    slow = await asyncpg.connect(empty_url)  # a transaction that began before, for which the building of an index waits
    try:
        with ThreadPoolExecutor(3) as pool:
            async with slow.transaction(isolation="repeatable_read"):
                await slow.execute("SELECT count(*) FROM alembic_version")
                runs: Migrators = [
                    pool.submit(run_command, "migrate", env=environment(empty_url), cwd=tmp_path) for _ in range(3)
                ]
                await eventually(line.fetchval, HALF_BUILT, seconds=30)
                assert await line.fetchval(LOCKED) == 0
                await line.execute("SET lock_timeout = '100ms'")
                await line.execute("UPDATE users SET updated_at = now()")
                await add_as_an_older_service(empty_url, "linus")
                await line.execute(f"SELECT pg_terminate_backend(pid) FROM ({BUILDING}) building")
                assert [run.result().returncode for run in await _first_ended(runs)] == [75]
                # The next one is at it already: it drops what is left, and builds it again.
                await eventually(line.fetchval, f"SELECT count(*) = 1 FROM ({BUILDING}) building", seconds=30)
            done = [await asyncio.wrap_future(run) for run in runs]
    finally:
        await slow.close()
    assert sorted(run.returncode for run in done) == [0, 0, 75]
    assert sorted(run.stdout for run in done) == ["", "applied: 0015, 0016\n", "the schema is already at head\n"]
    assert any("usernames recorded: 1,000\n" in run.stderr for run in done), "who waits sees that it goes on"
    assert not await line.fetchval(HALF_BUILT)
    await asyncio.to_thread(alembic, empty_url, "check")
    known = await line.fetch("SELECT username_skeleton FROM users WHERE username NOT LIKE 'many%' ORDER BY 1")
    assert [name for (name,) in known] == ["adrnln", "adrnln", "grace", "llnus"], "before any new service serves"


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_what_is_built_beside_services_may_take_as_long_as_a_large_table_needs(empty_url: str) -> None:
    """With a time-out, an index that takes longer would be begun again by each run."""
    told: list[str] = []
    database = Database(DatabaseSettings(DATABASE_URL=empty_url, _env_file=None, statement_timeout=1))
    limit = sqlalchemy.text("SELECT current_setting('statement_timeout')")
    steps = [lambda line: told.append(line.scalar(limit))]
    await database.run_statements(partial(migrator.prepare, steps=steps), migrator.PREPARING)
    await database.dispose()
    assert told == ["0"]
    assert timedelta(hours=12) < migrator.PREPARING


async def _first_ended(runs: Migrators) -> set[asyncio.Future[CompletedProcess[str]]]:
    ended, _ = await asyncio.wait(map(asyncio.wrap_future, runs), timeout=30, return_when=asyncio.FIRST_COMPLETED)
    return ended
