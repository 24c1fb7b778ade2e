"""A line to the server that breaks, goes silent or is not there, and a pool that is empty."""

import asyncio
import time

import pytest

from auth_service.errors import DatabaseUnavailable
from tests.repositories.conftest import MakeDatabase, query
from tests.support.postgres import Cluster, Postgres
from tests.support.server import free_port
from tests.support.tcp_proxy import TcpProxy


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
        await make_database(postgres_url + "?no_such_option=1").check()


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


async def test_connections_that_were_reset_are_replaced_before_anyone_notices(
    make_database: MakeDatabase, cluster: Cluster
) -> None:
    with TcpProxy(cluster.port) as proxy:
        database = make_database(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
        await asyncio.gather(*(database.check() for _ in range(5)))
        await asyncio.to_thread(proxy.reset)  # and the loop has seen it before the next statement
        for _ in range(5):
            await database.check()


async def test_an_empty_pool_is_unavailable_within_a_second(make_database: MakeDatabase, postgres_url: str) -> None:
    database = make_database(postgres_url, pool_size=1, max_overflow=0)
    loop = asyncio.get_running_loop()
    async with database.statement():
        started = loop.time()
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        assert loop.time() - started < 1.5
    await database.check()


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
