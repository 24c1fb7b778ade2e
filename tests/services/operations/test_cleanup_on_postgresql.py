"""The clean-up beside others on PostgreSQL: a second run, locked rows, an old snapshot, kill -9, large tables."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from auth_service.repositories.transaction import CLEANUP_LOCK
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.pace import Speed
from tests.conftest import environment
from tests.support.databases import MakeDatabase
from tests.support.polling import eventually
from tests.support.server import Server, run_command
from tests.support.sessions import add_many_sessions, count_expired
from tests.support.sql import run_sql

_DELETED = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'"
_SCANS = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'"
_INDEXES_USED = """
SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'refresh_tokens' AND idx_scan > 0
"""


@pytest.fixture
def run(postgres_url: str, tmp_path: Path) -> Any:
    """The command as an operator runs it; returns its report."""

    async def clean_up(*options: str, **settings: str) -> Any:
        env = environment(postgres_url, **settings)
        done = await asyncio.to_thread(run_command, "cleanup", "--json", *options, env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return clean_up


@asynccontextmanager
async def transaction(url: str, isolation: str = "read_committed") -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's transaction, open for the length of the block."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation=isolation):
            yield connection
    finally:
        await connection.close()


async def test_of_two_runs_at_once_one_works_and_the_other_says_so(postgres_url: str, run: Any, tmp_path: Path) -> None:
    await add_many_sessions(postgres_url, expired=3)
    async with transaction(postgres_url) as other:
        await other.execute("SELECT pg_advisory_xact_lock($1)", CLEANUP_LOCK)
        report = await run()
        said = await asyncio.to_thread(run_command, "cleanup", env=environment(postgres_url), cwd=tmp_path)
    assert report["skipped"] is True
    assert (report["deleted"], report["left"]) == (0, 3)
    assert said.returncode == 0
    assert said.stdout.startswith("another clean-up is running, or was killed less than 10 seconds ago; deleted 0 ")
    assert (await run())["deleted"] == 3


async def test_two_runs_that_start_together_delete_each_row_once(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=500, live=10)
    reports = await asyncio.gather(run("--batch-size", "5"), run("--batch-size", "5"))
    assert sum(report["deleted"] for report in reports) == 500
    assert await count_expired(postgres_url) == 0


async def test_rows_that_somebody_holds_are_skipped_and_not_waited_for(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=10)
    async with transaction(postgres_url) as other:
        held = "SELECT id FROM refresh_tokens ORDER BY expires_at LIMIT 2 FOR UPDATE"
        await other.execute(held)
        report = await run("--batch-size", "3")
        assert (report["deleted"], report["left"]) == (8, 2)
    assert (await run())["deleted"] == 2


@asynccontextmanager
async def working(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command with small batches, which is killed at the end."""
    env = {**os.environ, **environment(url)}
    command = (*Server.program, "cleanup", "--batch-size", "7", "--json")
    null, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=env, cwd=folder, stdin=null, stdout=pipe, stderr=null)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def at_work(url: str, folder: Path) -> AsyncIterator[int]:
    """A run in the middle of 7,000 expired sessions, by the id of its process, which is killed at the end."""
    await add_many_sessions(url, expired=7 * 1000, live=5)
    async with working(url, folder) as process:
        await eventually(_has_fewer_than, url, 7000 - 7, seconds=20)
        yield process.pid


async def test_a_run_killed_in_the_middle_keeps_its_batches_and_a_later_one_finishes(
    postgres_url: str, run: Any, tmp_path: Path
) -> None:
    async with at_work(postgres_url, tmp_path):
        pass
    await eventually(_has_gone, postgres_url)
    left = await count_expired(postgres_url)
    assert 0 < left < 7000
    assert left % 7 == 0, "a batch is deleted whole or not at all"
    assert (await run())["skipped"], "until its lease is over, it might be resting"
    report = await run("--rate", "0")
    assert (report["deleted"], report["left"], report["skipped"]) == (left, 0, False)


async def test_a_run_that_a_signal_ends_gives_its_lease_back_and_tells_what_it_did(
    postgres_url: str, run: Any, tmp_path: Path
) -> None:
    await add_many_sessions(postgres_url, expired=7 * 1000)
    for ending, status in ((signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)):
        before = await count_expired(postgres_url)
        async with working(postgres_url, tmp_path) as process:
            await eventually(_has_fewer_than, postgres_url, before, seconds=20)
            process.send_signal(ending)
            printed, _ = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == status
        told, left = json.loads(printed), await count_expired(postgres_url)
        assert (told["deleted"], told["batches"], told["left"]) == (before - left, (before - left) / 7, None)
        report = await run("--time-budget", "0.1")
        assert (report["skipped"], report["left"] > 0) == (False, True), ending


async def test_a_run_that_an_error_ends_gives_its_lease_back(postgres_url: str, run: Any, tmp_path: Path) -> None:
    await add_many_sessions(postgres_url, expired=10)
    at_the_fifth = "IF (SELECT count(*) FROM refresh_tokens) = 6 THEN RAISE 'the fifth'; END IF; RETURN OLD;"
    await run_sql(postgres_url, f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {at_the_fifth} END$$")
    await run_sql(postgres_url, "CREATE TRIGGER f BEFORE DELETE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION f()")
    env = environment(postgres_url)
    failed = await asyncio.to_thread(run_command, "cleanup", "--batch-size", "1", env=env, cwd=tmp_path)
    assert failed.returncode != 0
    gone = 10 - await count_expired(postgres_url)
    assert 0 < gone < 10
    assert re.fullmatch(f"deleted {gone} expired sessions in {gone} batches and .+ s; cut off; .+\n", failed.stdout)
    await run_sql(postgres_url, "DROP TRIGGER f ON refresh_tokens")
    assert (await run())["skipped"] is False


async def test_a_run_steps_back_behind_whoever_answers_requests(postgres_url: str, tmp_path: Path) -> None:
    async with at_work(postgres_url, tmp_path) as process:
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process) == min(ours + 10, 19), "of which there is no lower one"


async def _has_fewer_than(url: str, expired: int) -> bool:
    return await count_expired(url) < expired


async def _has_gone(url: str) -> bool:
    seen = "SELECT FROM pg_stat_activity WHERE application_name = 'auth_service' AND datname = current_database()"
    return not await run_sql(url, seen)


async def test_a_large_table_is_cleaned_by_index_and_row_address_beside_an_old_snapshot(
    postgres_url: str, run: Any
) -> None:
    expired = 20_000
    await add_many_sessions(postgres_url, expired=expired, live=180_000)
    async with transaction(postgres_url, "repeatable_read") as other:
        await other.fetchval("SELECT 1")  # the snapshot is taken here
        await run_sql(postgres_url, "SELECT pg_stat_reset()")
        report = await run("--rate", "0", "--batch-size", "1000")
        assert await other.fetchval("SELECT count(*) FROM users") == 1  # it is open still
    assert (report["deleted"], report["batches"], report["left"]) == (expired, 20, 0)
    await eventually(_statistics_have_come, postgres_url, expired)
    assert await run_sql(postgres_url, _SCANS) == [(0,)], "the table was never read from end to end"
    ((name, entries),) = await run_sql(postgres_url, _INDEXES_USED)
    assert name == "ix_refresh_tokens_expires_at", "the rows themselves are fetched by address, not by their key"
    # Once to see that it is no backlog, once to find a row, twice for the report that passes what the snapshot keeps;
    # ten times more if each batch did.
    assert entries < 5 * expired


async def test_a_backlog_is_deleted_page_by_page_as_the_table_stores_it(postgres_url: str, run: Any) -> None:
    live, expired = 3000, 6000
    for _ in range(3):  # some of both on every stretch of the table
        await add_many_sessions(postgres_url, expired=expired // 3, live=live // 3)
    # As among millions of rows: where an index could serve, PostgreSQL takes it.
    no_scans = "format('ALTER DATABASE %I SET enable_seqscan = off', current_database())"
    await run_sql(postgres_url, f"DO $$ BEGIN EXECUTE {no_scans}; END $$")
    await run_sql(postgres_url, "SELECT pg_stat_reset()")
    report = await run("--rate", "0", "--batch-size", "100")
    assert (report["deleted"], report["batches"], report["left"]) == (expired, expired // 100, 0)
    await eventually(_statistics_have_come, postgres_url, expired)
    used = dict(await run_sql(postgres_url, _INDEXES_USED))
    # Neither the rows that went nor those that stay, which are read to count what is left.
    assert max(used.values()) < live, "the index says only that it is a backlog, and what has expired since"
    assert await run_sql(postgres_url, "SELECT count(*) FROM refresh_tokens WHERE expires_at > now()") == [(live + 3,)]


async def test_a_sweep_leaves_nothing_behind_where_the_index_would_find_its_rows_in_another_order(
    postgres_url: str, run: Any
) -> None:
    # So few among so many that the index is the cheaper way to them; and the first one stored was the last to expire.
    await add_many_sessions(postgres_url, expired=200, live=12_000)
    report = await run("--batch-size", "5")
    assert (report["deleted"], report["left"]) == (200, 0)


async def test_what_expires_or_is_let_go_behind_a_sweep_is_told_and_not_forgotten(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=6000)
    async with transaction(postgres_url) as other:
        await other.execute("SELECT FROM refresh_tokens WHERE expires_at <= now() LIMIT 7 FOR UPDATE")
        report = await run("--batch-size", "100")
        assert (report["deleted"], report["left"], report["skipped"]) == (5993, 7, False)
        assert report["oldest_expired_seconds"] > 0
    report = await run("--batch-size", "100")
    assert (report["deleted"], report["left"], report["oldest_expired_seconds"]) == (7, 0, None)


async def test_a_sweep_that_runs_out_of_time_says_how_much_is_left(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=6000, live=10)
    report = await run("--batch-size", "100", "--time-budget", "0.000001")
    assert (report["deleted"], report["batches"], report["left"]) == (100, 1, 5900)


async def _statistics_have_come(url: str, deleted: int) -> bool:
    """The server writes them down a little after the connection that they are about has ended."""
    return await run_sql(url, _DELETED) == [(deleted,)]


async def test_a_batch_that_takes_longer_than_a_request_may_is_not_cut(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=20)
    await _slow_down_deletes(postgres_url, 0.05)
    assert (await run(DB_STATEMENT_TIMEOUT="0.5"))["deleted"] == 20


async def test_a_run_rests_after_each_batch_for_two_fifths_of_its_time(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=4)
    await _slow_down_deletes(postgres_url, 0.2)
    assert (await run("--batch-size", "1"))["seconds"] > (4 + 3 * 0.4) * 0.2


async def _slow_down_deletes(url: str, seconds: float) -> None:
    """Make each deleted row take so long."""
    body = f"BEGIN PERFORM pg_sleep({seconds}); RETURN OLD; END"
    await run_sql(url, f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
    await run_sql(url, "CREATE TRIGGER slow BEFORE DELETE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION slow()")


async def test_a_count_that_takes_longer_than_a_request_may_is_not_cut(postgres_url: str, run: Any) -> None:
    await add_many_sessions(postgres_url, expired=20)
    await run_sql(postgres_url, "ALTER TABLE refresh_tokens RENAME TO stored")
    slow = "CREATE VIEW refresh_tokens AS SELECT stored.* FROM stored, LATERAL pg_sleep(0.05 + 0 * generation)"
    await run_sql(postgres_url, slow)
    await run_sql(postgres_url, "GRANT SELECT ON refresh_tokens TO PUBLIC")
    report = await run("--dry-run", DB_STATEMENT_TIMEOUT="0.5")
    assert report["left"] == 20


async def test_the_lowest_rate_and_the_smallest_batch_find_their_rows_behind_pages_that_were_swept(
    postgres_url: str, make_database: MakeDatabase
) -> None:
    await add_many_sessions(postgres_url, expired=30_000)
    swept = "DELETE FROM refresh_tokens WHERE ctid IN (SELECT ctid FROM refresh_tokens ORDER BY ctid LIMIT 27000)"
    await run_sql(postgres_url, swept)
    database = make_database(postgres_url)
    for rate, size, seconds in ((1, 100, 2.1), (10, 100, 1.0), (19, 100, 1.0), (10_000, 1, 1.0)):
        speed = Speed(most=rate, least=min(rate, 100), target=timedelta(seconds=10))
        report = await Cleanup(database).delete_expired(size, timedelta(seconds=seconds), speed=speed)
        least, most = (4, 11) if size == 1 else (seconds * rate / 2, seconds * rate + 2)
        assert least <= report.deleted <= most, (rate, size)
