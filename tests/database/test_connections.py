"""A line to the server that breaks, goes silent or is not there, and a pool that is empty."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import text

from auth_service.database.pool import PING_AFTER
from auth_service.database.pool_queue import SOON
from auth_service.database.prepared import Prepared
from auth_service.errors import DatabaseUnavailable, InvalidInput, Reason
from auth_service.repositories.database import Database
from tests.support.databases import MakeDatabase, query
from tests.support.polling import eventually
from tests.support.postgres import Cluster, Postgres
from tests.support.server import free_port
from tests.support.sql import run_sql
from tests.support.tcp_proxy import TcpProxy

OURS = "application_name = 'auth_service' AND datname = current_database()"

END_THE_OTHERS = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'auth_service'
"""


async def test_a_database_that_does_not_exist_is_unavailable(make_database: MakeDatabase, postgres: Postgres) -> None:
    with pytest.raises(DatabaseUnavailable):
        await make_database(postgres.url("no_such_database")).check()


async def test_a_refused_port_is_unavailable(make_database: MakeDatabase) -> None:
    with pytest.raises(DatabaseUnavailable):
        await make_database(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres").check()


async def test_an_option_that_the_server_does_not_know_is_unavailable(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    with pytest.raises(DatabaseUnavailable):
        await make_database(postgres_url + "?options=-cno_such_option=1").check()


async def test_a_host_that_does_not_exist_is_unavailable(make_database: MakeDatabase) -> None:
    with pytest.raises(DatabaseUnavailable):
        await make_database("postgresql://postgres@host.invalid/postgres").check()


@pytest.mark.parametrize("connected", [False, True], ids=["new", "pooled"])
@pytest.mark.parametrize("fault", ["silence", "swallow_answers", "refuse"])
async def test_a_broken_line_is_unavailable_in_time_and_heals_with_the_line(
    make_database: MakeDatabase, cluster: Cluster, fault: str, connected: bool
) -> None:
    loop = asyncio.get_running_loop()
    with TcpProxy(cluster.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, statement_timeout=0.4, connect_timeout=0.4)
        if connected:
            await database.check()
        getattr(proxy, fault)()
        proxy.reset() if fault == "refuse" else None
        started = loop.time()
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        assert loop.time() - started < 2
        proxy.pass_through()
        await database.check()


async def test_a_line_that_goes_silent_during_a_statement_is_hung_up_in_time(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    loop = asyncio.get_running_loop()
    with TcpProxy(cluster.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        # Without a look at the connection before its use, the statement itself is the first to meet the silence.
        database = make_database(url, statement_timeout=0.4, pool_pre_ping=False, pool_size=1, max_overflow=0)
        for open_block in (database.statement, database.transaction):
            await database.check()
            proxy.silence()
            started = loop.time()
            with pytest.raises(DatabaseUnavailable):
                async with open_block() as tx:
                    await query(tx, "SELECT 1")
            assert loop.time() - started < 2
            proxy.pass_through()
        await database.check()


async def test_a_line_that_goes_silent_before_a_rollback_is_hung_up_in_time(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    loop = asyncio.get_running_loop()
    with TcpProxy(cluster.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, statement_timeout=0.4, pgbouncer=True, pool_size=1, max_overflow=0)
        await database.check()
        started = loop.time()
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(refused(database, proxy), timeout=10)
        assert loop.time() - started < 5
        proxy.pass_through()
        await database.check()


async def test_a_lost_connection_is_not_made_anew_for_longer_than_a_request_may_wait(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    loop, lost = asyncio.get_running_loop(), asyncio.Event()
    with TcpProxy(cluster.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, statement_timeout=0.4, connect_timeout=20, pool_size=2, max_overflow=0)

        async def lose() -> None:
            async with database.statement() as tx:
                await query(tx, "SELECT pg_sleep(0.1)")  # until the other has a connection of its own
                await query(tx, "SELECT pg_terminate_backend(pg_backend_pid())")

        async def answer_after_it() -> None:
            async with database.statement() as tx:
                await lost.wait()
                await query(tx, "SELECT 1")

        answering = asyncio.create_task(answer_after_it())
        with pytest.raises(DatabaseUnavailable):
            await lose()
        lost.set()
        await answering
        proxy.silence()
        started = loop.time()
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        assert loop.time() - started < 5
        proxy.pass_through()


async def refused(database: Database, proxy: TcpProxy) -> None:
    async with database.statement() as tx:
        await query(tx, "SELECT 1")
        proxy.silence()
        raise InvalidInput("field", Reason.REQUIRED, "What has nothing to do with the database.")


async def test_a_connection_that_was_ended_is_not_given_to_whoever_queues(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=5, max_overflow=0)
    in_use, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.statement() as tx:
            await query(tx, "SELECT set_config('application_name', 'held', false)")
            in_use.set()
            await go_on.wait()

    await asyncio.gather(*(slow(database) for _ in range(5)))
    holder = asyncio.create_task(hold())
    await in_use.wait()
    assert await run_sql(postgres_url, END_THE_OTHERS) == [(4,)]  # and the loop has seen it
    checks = [asyncio.create_task(database.check()) for _ in range(3)]
    go_on.set()  # in the same turn of the loop: the server answers, after the first has met a lost connection
    await asyncio.gather(holder, *checks)


async def slow(database: Database) -> None:
    async with database.statement() as tx:
        await query(tx, "SELECT pg_sleep(0.1)")


async def test_connections_that_were_reset_are_replaced_before_anyone_notices(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    with TcpProxy(cluster.port) as proxy:
        database = make_database(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
        await asyncio.gather(*(database.check() for _ in range(5)))
        await asyncio.to_thread(proxy.reset)
        await eventually(has_no_backend_of_ours, cluster.url("postgres"))  # and meanwhile the loop has seen it too
        for _ in range(5):
            await database.check()


async def test_after_a_silence_a_connection_is_tried_before_it_is_used(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    with TcpProxy(cluster.port) as proxy:
        database = make_database(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
        await asyncio.gather(*(slow(database) for _ in range(3)))
        await asyncio.sleep(PING_AFTER * 1.1)
        proxy.reset()  # the loop stands still meanwhile, and so does not know of it
        await database.check()


async def test_a_lost_connection_leaves_the_others_in_the_pool(make_database: MakeDatabase, postgres_url: str) -> None:
    database = make_database(postgres_url, pool_size=2, max_overflow=0)
    async with database.statement() as first, database.statement() as second:
        pids = {await query(tx, "SELECT pg_backend_pid()") for tx in (first, second)}
    with pytest.raises(DatabaseUnavailable):
        async with database.statement() as tx:
            await query(tx, "SELECT pg_terminate_backend(pg_backend_pid())")
    seen = set()
    for _ in range(4):
        async with database.statement() as tx:
            seen.add(await query(tx, "SELECT pg_backend_pid()"))
    assert len(seen) == 2
    assert len(seen & pids) == 1


async def test_an_empty_pool_is_unavailable_within_a_second(make_database: MakeDatabase, postgres_url: str) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=0)
    loop = asyncio.get_running_loop()
    async with database.statement():
        started = loop.time()
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        assert loop.time() - started < 1.5
    await database.check()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite in memory"])
async def test_who_comes_first_is_served_first_however_long_it_takes(
    kind: str, make_database: MakeDatabase, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else "sqlite+aiosqlite:///:memory:"
    database = make_database(url, pool_size=1, max_overflow=0)
    served = []

    async def come(number: int) -> None:
        async with database.statement():
            served.append(number)

    async with asyncio.TaskGroup() as crowd, database.statement():
        for number in range(6):
            crowd.create_task(come(number))
            await asyncio.sleep(SOON / 4)
    assert served == list(range(6))


async def test_a_peak_ends_with_whoever_it_was_opened_for_even_if_others_wait(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=1)
    async with database.statement():
        async with database.statement():
            waiting = asyncio.create_task(database.check())
            await asyncio.sleep(0)
        for _ in range(3):  # in as many steps it would have its turn
            await asyncio.sleep(0)
        assert database.numbers()["checked_out"] == 1
    await waiting


async def test_a_place_that_was_given_to_somebody_who_left_at_that_moment_is_not_lost(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=0)
    async with database.statement():
        leaving = asyncio.create_task(database.check())
        await asyncio.sleep(0)
    assert leaving.cancel()
    await database.check()
    assert leaving.cancelled()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite in memory"])
async def test_whoever_is_cancelled_while_a_connection_is_given_back_still_gives_it_back(
    kind: str, make_database: MakeDatabase, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else "sqlite+aiosqlite:///:memory:"
    database = make_database(url, pool_size=1, max_overflow=0)
    async with database.transaction() as tx:
        await query(tx, "CREATE TABLE kept (id int)")
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def refuse() -> None:
        async with database.statement() as tx:
            await query(tx, "SELECT count(*) FROM kept")
            asked.set()
            await go_on.wait()
            raise InvalidInput("field", Reason.REQUIRED, "What has nothing to do with the database.")

    refusing = asyncio.create_task(refuse())
    await asked.wait()
    go_on.set()
    await asyncio.sleep(0)  # now it rolls back
    refusing.cancel()
    await asyncio.wait({refusing})
    async with database.statement() as tx:
        assert await query(tx, "SELECT count(*) FROM kept") == 0


async def test_a_connection_that_is_cut_off_in_the_middle_of_a_statement_is_not_used_again(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=0)
    slow = Prepared(lambda _clock: text("SELECT pg_backend_pid() AS pid, pg_sleep(:seconds)"))

    async def ask(seconds: float) -> int:
        async with database.statement() as tx:
            return int((await slow.execute(tx.connection, seconds=seconds))[0]["pid"])

    first = await ask(0)
    asked = asyncio.create_task(ask(60))
    await eventually(is_asleep, postgres_url)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await ask(0) != first
    assert database.numbers()["checked_out"] == 0


async def test_a_connection_that_is_too_old_is_replaced_and_nobody_notices(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=0, pool_recycle=timedelta(milliseconds=1))
    seen = []
    for _ in range(5):
        async with database.statement() as tx:
            seen.append(await query(tx, "SELECT pg_backend_pid() FROM pg_sleep(0.002)"))
    assert len(set(seen)) == 5
    assert database.numbers()["checked_out"] == 0


async def test_lone_statements_replace_all_connections_that_were_lost(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=4, max_overflow=0)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await query(await stack.enter_async_context(database.statement()), "SELECT 1")
    assert await backends_of_ours(postgres_url) == 4
    await run_sql(postgres_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
    await eventually(has_no_backend_of_ours, postgres_url)
    for _ in range(8):
        await database.check()
    assert await backends_of_ours(postgres_url) == 4


async def backends_of_ours(url: str) -> int:
    (row,) = await run_sql(url, f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}")
    return int(row[0])


async def has_no_backend_of_ours(url: str) -> bool:
    return await backends_of_ours(url) == 0


async def has_one_backend_of_ours(url: str) -> bool:
    return await backends_of_ours(url) == 1


async def is_asleep(url: str) -> bool:
    return await run_sql(url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == [(1,)]


async def test_beyond_the_pool_as_many_connections_are_opened_as_allowed_and_closed_again(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=1)
    await database.check()  # so that the one that is closed was there before: it is given back last
    async with database.statement(), database.statement():
        assert database.numbers()["overflow"] == 1
        with pytest.raises(DatabaseUnavailable):
            await database.check()
    assert database.numbers() == {"checked_out": 0, "overflow": 0, "size": 1, "waiting": 0, "time_outs": 1}
    await eventually(has_one_backend_of_ours, postgres_url)


async def test_a_connection_hung_up_in_the_middle_of_preparing_is_unavailable_and_no_fault_of_ours(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    database = make_database(postgres_url, statement_timeout=0.1)  # hung up after 0.6 seconds

    async def stand_still() -> None:
        async with database.statement() as tx:
            preparing = asyncio.create_task(query(tx, "SELECT ARRAY[clock_timestamp()]"))  # a type to be looked up
            await asyncio.sleep(0)  # it is on its way
            time.sleep(1)  # noqa: ASYNC251  # the process stands still: the answer and the deadline come together
            await preparing

    with pytest.raises(DatabaseUnavailable):
        await stand_still()
    await database.check()
