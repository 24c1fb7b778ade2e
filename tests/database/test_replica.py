"""Reads on a real standby by streaming replication, and what becomes of them when it is of no use.

The standby shows everything five seconds late, so that what it shows tells that it was asked.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from auth_service.database.replica import Replica
from auth_service.database.schema import HEAD
from auth_service.errors import DatabaseReadOnly, DatabaseUnavailable, NoSuchUser
from auth_service.repositories.database import Database
from auth_service.repositories.probe import Probe
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.settings import DatabaseSettings
from tests.support.databases import MakeDatabase, query
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.server import wait_until
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.usefixtures("every_line")
LATE = 5.0


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.create() as running:
        running.execute(
            f"CREATE TABLE users (name text); CREATE TABLE alembic_version AS SELECT '{HEAD}' AS version_num"
        )
        yield running


@pytest.fixture(scope="module")
def standby(primary: Cluster) -> Iterator[Cluster]:
    with primary.standby() as running:
        # A server that has replayed nothing since its start cannot say how far it is behind.
        primary.execute("INSERT INTO users VALUES ('first')")
        wait_until(lambda: running.execute("SELECT count(*) FROM users") == "1", 20, running.log)
        running.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{LATE}s'; SELECT pg_reload_conf()")
        yield running


@pytest.fixture
def proxy(standby: Cluster) -> Iterator[TcpProxy]:
    with TcpProxy(standby.port) as running:
        yield running


@pytest.fixture
def database(primary: Cluster, proxy: TcpProxy, make_database: MakeDatabase) -> Database:
    return make_database(primary.url("postgres"), DATABASE_READ_REPLICA_URL=url_through(proxy))


def url_through(proxy: TcpProxy) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"


async def asked(database: Database) -> str:
    """Which of the two answered a read."""
    return "standby" if await read(database, "SELECT pg_is_in_recovery()") else "primary"


@retried
async def read(database: Database, sql: str) -> Any:
    async with database.reading() as reading:
        return await query(cast("Transaction", reading), sql)


def replica_of(database: Database) -> Replica:
    assert database.replica
    return database.replica


async def test_reads_see_what_the_replica_shows_and_all_others_the_primary(database: Database) -> None:
    async with database.statement() as tx:
        await query(tx, "INSERT INTO users VALUES ('ada')")
        assert await query(tx, "SELECT count(*) FROM users WHERE name = 'ada'") == 1
    async with database.transaction() as tx:
        assert await query(tx, "SELECT count(*) FROM users WHERE name = 'ada'") == 1
    assert await read(database, "SELECT count(*) FROM users WHERE name = 'ada'") == 0
    assert await asked(database) == "standby"
    assert replica_of(database).fallbacks == 0


async def test_reads_side_by_side_have_connections_of_their_own(database: Database) -> None:
    pids = await asyncio.gather(*(read(database, "SELECT pg_backend_pid() FROM pg_sleep(0.2)") for _ in range(4)))
    assert len(set(pids)) == 4
    assert replica_of(database).fallbacks == 0


async def test_a_replica_is_asked_in_sessions_that_are_read_only(database: Database) -> None:
    assert await read(database, "SHOW default_transaction_read_only") == "on"
    assert await asked(database) == "standby"


async def test_a_replica_that_does_not_answer_is_waited_for_once_and_read_again_when_it_does(
    database: Database, proxy: TcpProxy
) -> None:
    with capture_logs() as told:
        assert await asked(database) == "standby"
        proxy.silence()
        assert [await asked(database) for _ in range(5)] == ["primary"] * 5
        assert not replica_of(database).is_up
        assert replica_of(database).fallbacks == 5
        tried = proxy.connections  # a silent proxy keeps them all
        assert [await asked(database) for _ in range(5)] == ["primary"] * 5
        assert proxy.connections == tried
        proxy.pass_through()
        await eventually(is_up, database, seconds=20)
    assert await asked(database) == "standby"
    assert [(event["event"], event.get("because")) for event in told] == [
        ("replica.lost", "database-unavailable"), ("replica.back", None),
    ]  # fmt: skip


async def is_up(database: Database) -> bool:
    return await asked(database) == "standby"


async def test_many_reads_of_a_replica_that_is_gone_are_answered_by_the_primary(
    database: Database, proxy: TcpProxy
) -> None:
    proxy.refuse()
    assert await asyncio.gather(*(asked(database) for _ in range(8))) == ["primary"] * 8
    assert replica_of(database).fallbacks == 8


async def test_a_read_that_loses_the_replica_in_its_middle_is_done_by_the_primary(
    database: Database, proxy: TcpProxy, standby: Cluster
) -> None:
    slow = "SELECT pg_is_in_recovery() FROM pg_sleep(1)"
    running = asyncio.create_task(read(database, slow))
    await eventually(is_asked, standby, slow)
    proxy.reset()
    assert await running is False


async def is_asked(standby: Cluster, sql: str) -> bool:
    found = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = '{sql}' AND state = 'active')"
    return await asyncio.to_thread(standby.execute, found) == "t"


async def test_a_read_that_is_too_slow_is_refused_and_neither_repeated_nor_the_replicas_fault(
    primary: Cluster, proxy: TcpProxy, make_database: MakeDatabase
) -> None:
    """A slow search would otherwise move every read, and itself first, to the server that signs people in."""
    settings = {"DATABASE_READ_REPLICA_URL": url_through(proxy), "statement_timeout": 0.3}
    database = make_database(primary.url("postgres"), **settings)
    with pytest.raises(DatabaseUnavailable):
        await read(database, "SELECT pg_sleep(10)")
    assert replica_of(database).is_up
    assert replica_of(database).fallbacks == 0
    assert await asked(database) == "standby"


async def test_a_refusal_in_a_block_is_no_failure_of_the_replica(database: Database) -> None:
    with pytest.raises(NoSuchUser):
        async with database.reading():
            raise NoSuchUser
    assert await asked(database) == "standby"


async def test_a_server_that_is_no_standby_is_no_replica(primary: Cluster, make_database: MakeDatabase) -> None:
    """Reads of a second primary, or of another database altogether, would tell what is not so."""
    url = primary.url("postgres")
    database = make_database(url, DATABASE_READ_REPLICA_URL=url)
    with capture_logs() as told:
        assert await asked(database) == "primary"
    assert [event["because"] for event in told] == ["not-a-standby"]


async def test_a_replica_that_is_too_far_behind_is_not_read(
    primary: Cluster, proxy: TcpProxy, make_database: MakeDatabase
) -> None:
    database = make_database(
        primary.url("postgres"), DATABASE_READ_REPLICA_URL=url_through(proxy), read_replica_max_lag=0.001
    )
    await asyncio.to_thread(primary.execute, "INSERT INTO users VALUES ('eve')")
    with capture_logs() as told:
        await eventually(is_lost, database)
    assert [event["because"] for event in told] == ["behind"]
    assert (replica_of(database).lag or 0) > 0.001


async def is_lost(database: Database) -> bool:
    return await asked(database) == "primary"


async def test_a_standby_that_should_be_the_primary_is_not_ready_and_says_why(
    standby: Cluster, make_database: MakeDatabase
) -> None:
    settings = DatabaseSettings(DATABASE_URL=standby.url("postgres"), _env_file=None)
    probe = Probe(settings, make_database(standby.url("postgres")))
    with pytest.raises(DatabaseReadOnly):
        await probe.check()
    await probe.close()


async def test_without_a_replica_a_read_is_a_lone_statement(primary: Cluster, make_database: MakeDatabase) -> None:
    database = make_database(primary.url("postgres"))
    assert database.replica is None
    assert await asked(database) == "primary"
