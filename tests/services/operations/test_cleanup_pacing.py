"""The clean-up beside others: it gives way to a database that is slow, holds nothing while it rests, and is on time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from auth_service.repositories.database import Database
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.pace import FULL_SPEED, PERIOD, RISE, Speed
from tests.conftest import environment
from tests.support.databases import MakeDatabase
from tests.support.polling import eventually
from tests.support.server import Server, run_command
from tests.support.sessions import HOUR, add_many_sessions, add_sessions, count_expired, opened, session_ids
from tests.support.sql import run_sql
from tests.support.tcp_proxy import TcpProxy

SLOW_ON_SQLITE = """
CREATE TRIGGER slow AFTER DELETE ON refresh_tokens BEGIN
    SELECT max(number) FROM (
        WITH RECURSIVE counted (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 20000)
        SELECT number FROM counted
    );
END
"""
TOKEN = "cleanup-pacing-Wc7mEXAuJc"
PACED = Speed(most=10_000, least=50)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
async def slow(request: pytest.FixtureRequest, make_database: MakeDatabase) -> AsyncIterator[Database]:
    """A database on which an answer takes longer than the clean-up's target: 20 ms on the way, or as long a lock."""
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    if request.param == "sqlite":
        database = make_database(url)
        async with database.transaction() as tx:
            await (await tx.session.connection()).exec_driver_sql(SLOW_ON_SQLITE)
        yield database
        return
    with TcpProxy(urlsplit(url).port or 0) as proxy:
        proxy.delay(0.02)
        yield make_database(url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/"))


async def rates_of(database: Database, speed: Speed, batches: int) -> list[float]:
    """Run so many batches; return the rate after each of them but the last one."""
    job, rates = Cleanup(database), []

    def tell(_deleted: int) -> None:
        assert job.numbers.pace
        rates.append(job.numbers.pace.rate)
        if len(rates) == batches:
            job.stop()

    report = await job.delete_expired(5000, on_progress=tell, speed=speed)
    assert report.batches == batches
    assert job.numbers.pace is None, "no run, no rate"
    return rates


async def test_it_is_faster_after_each_batch_that_the_database_took_quickly(database: Database) -> None:
    await add_sessions(database, *[-HOUR] * 900)
    patient = Speed(PACED.most, PACED.least, target=timedelta(seconds=10))
    rates = await rates_of(database, patient, 5)
    assert rates == [PACED.least + RISE * PACED.most * batch for batch in range(1, 6)]


async def test_it_stays_slow_on_a_database_that_answers_slowly(slow: Database) -> None:
    await add_sessions(slow, *[-HOUR] * 100)
    assert await rates_of(slow, PACED, 5) == [PACED.least] * 5


async def test_a_backlog_is_gone_in_time_on_a_slow_database_too(slow: Database) -> None:
    """At the lowest rate it would take minutes."""
    await add_sessions(slow, *[-HOUR] * 150)
    speed = Speed(most=10_000, least=1, within=timedelta(seconds=2))
    report = await Cleanup(slow).delete_expired(5000, speed=speed)
    assert (report.deleted, report.left) == (150, 0)
    assert report.seconds < 10


async def test_while_one_run_rests_others_stop_until_one_at_full_speed_takes_over(
    database: Database, database_url: str, make_database: MakeDatabase
) -> None:
    in_memory = database_url.endswith("://")
    other = database if in_memory else make_database(database_url)
    await add_sessions(database, *[-HOUR] * 500)
    has_begun = asyncio.Event()
    limited = Speed(most=20, least=20)
    first = asyncio.create_task(
        Cleanup(database).delete_expired(5000, on_progress=lambda _deleted: has_begun.set(), speed=limited)
    )
    await asyncio.wait_for(has_begun.wait(), 20)
    late = await Cleanup(other).delete_expired(5000, speed=limited)
    assert (late.deleted, late.skipped) == (0, True)
    hurried = await Cleanup(other).delete_expired(5000)
    report = await asyncio.wait_for(first, 20)
    assert (hurried.skipped, hurried.deleted + report.deleted) == (False, 500)
    assert report.deleted < 100, "the hurried one did not wait"
    assert await session_ids(database) == set()
    assert (await Cleanup(database).delete_expired(5000, speed=limited)).skipped is False, "it is nobody's any more"


async def test_while_it_rests_it_holds_no_connection_no_transaction_and_no_lock(
    postgres_url: str, make_database: MakeDatabase
) -> None:
    await add_many_sessions(postgres_url, expired=100)
    sleeping = (
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
    )
    await run_sql(postgres_url, sleeping)
    await run_sql(postgres_url, "CREATE TRIGGER rest AFTER DELETE ON refresh_tokens EXECUTE FUNCTION rest()")
    database, deleted = make_database(postgres_url), asyncio.Event()
    job = Cleanup(database)
    speed = Speed(most=20, least=20)
    run = asyncio.create_task(job.delete_expired(10, on_progress=lambda _deleted: deleted.set(), speed=speed))
    await asyncio.wait_for(deleted.wait(), 20)  # after so long a batch it rests for two fifths of a second
    assert database.numbers()["checked_out"] == 0
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    assert set(await run_sql(postgres_url, f"SELECT state FROM pg_stat_activity WHERE {others}")) <= {("idle",)}
    locks = "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
    assert await run_sql(postgres_url, f"SELECT * FROM pg_locks WHERE {locks}") == []
    job.stop()
    assert (await run).deleted < 100


async def test_a_server_tells_the_rate_of_its_run_and_ends_in_the_middle_of_it(
    postgres_url: str, tmp_path: Path
) -> None:
    await add_many_sessions(postgres_url, expired=5000)
    env = environment(postgres_url, AUTH_CLEANUP__INTERVAL="1", AUTH_CLEANUP__RATE="40", AUTH_INTERNAL_TOKEN=TOKEN)
    with Server(env | {"AUTH_SHUTDOWN__DRAIN": "2"}, tmp_path) as server:
        server.wait_ready(30)
        await eventually(_tells_the_rate, server, 40, seconds=20)
        began = time.monotonic()
        server.terminate()
        assert time.monotonic() - began < 2 + 3, "nothing waits for the end of the run"
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        at = {line["event"]: datetime.fromisoformat(line["timestamp"]) for line in lines}
        assert at["cleanup.finished"] - at["service.draining"] < timedelta(seconds=1), "it does not go on in the drain"
    assert 0 < await count_expired(postgres_url) < 5000


async def _tells_the_rate(server: Server, rate: int) -> bool:
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:
        page = (await client.get("/metrics", headers={"X-Internal-Token": TOKEN})).text
    return f"\nauth_cleanup_rate {rate}" in page


@pytest.mark.parametrize(("rate", "at_least"), [("50", 1.8), ("0", 0.0)])
async def test_the_command_deletes_at_the_rate_that_is_asked_for(
    sqlite_url: str, tmp_path: Path, rate: str, at_least: float
) -> None:
    async with opened(sqlite_url) as database:
        await add_sessions(database, *[-HOUR] * 100)
    done = run_command("cleanup", "--json", "--rate", rate, env=environment(sqlite_url), cwd=tmp_path)
    report = json.loads(done.stdout)
    assert (report["deleted"], report["left"]) == (100, 0)
    assert at_least <= report["seconds"] < at_least + 10


async def test_a_run_that_finds_nothing_does_not_rest(database: Database) -> None:
    await Cleanup(database).delete_expired(100)  # what a database needs once
    reports = [await Cleanup(database).delete_expired(100, speed=PACED) for _ in range(10)]
    assert min(report.seconds for report in reports) < 2 * PERIOD  # it has five parts and more


async def test_a_time_that_is_up_ends_a_rest(database: Database) -> None:
    await add_sessions(database, *[-HOUR] * 5)
    speed = Speed(most=1, least=1)
    report = await Cleanup(database).delete_expired(100, timedelta(seconds=0.1), speed=speed)
    assert report.deleted == 1
    assert report.seconds < 0.9, "a row a second, and no second of it"


async def test_on_sqlite_no_batch_keeps_others_out_for_long_whatever_its_rate_and_budget(
    sqlite_url: str, make_database: MakeDatabase
) -> None:
    """Each row takes milliseconds, so that 500 would take more than a second."""
    database = make_database(sqlite_url)
    async with database.transaction() as tx:
        await (await tx.session.connection()).exec_driver_sql(SLOW_ON_SQLITE)
    await add_sessions(database, *[-HOUR] * 500)
    hurried = Speed(most=10_000, least=10_000)
    for budget, speed in ((0.01, hurried), (0.01, FULL_SPEED), (9.0, hurried)):
        batches: list[int] = []
        await Cleanup(database).delete_expired(5000, timedelta(seconds=budget), batches.append, speed)
        assert max(batches) <= 100
        assert len(batches) == 1 or budget > 1
    assert await session_ids(database) == set()
