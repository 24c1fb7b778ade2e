"""Transactions, savepoints and lone statements."""

import asyncio
import sqlite3
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from auth_service.models import Role
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import Transaction
from auth_service.settings import DatabaseSettings
from tests.support.databases import MakeDatabase, add_user, query
from tests.support.postgres import Cluster
from tests.support.tcp_proxy import TcpProxy


async def users_of(database: Database) -> int:
    async with database.transaction() as tx:
        return int(await query(tx, "SELECT count(*) FROM users"))


async def test_a_transaction_is_committed_at_the_end_of_its_block(database: Database) -> None:
    async with database.transaction() as tx:
        await add_user(tx, "ada")
        await add_user(tx, "eve")
    assert await users_of(database) == 2


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    async def write_and_raise() -> None:
        async with database.transaction() as tx:
            await add_user(tx, "ada")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await write_and_raise()
    assert await users_of(database) == 0


async def test_a_transaction_that_is_cancelled_leaves_nothing(database: Database) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.transaction() as tx:
            await add_user(tx, "ada")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await asyncio.wait_for(written.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await users_of(database) == 0


async def test_what_is_read_again_is_what_a_guarded_write_of_the_same_transaction_has_left(database: Database) -> None:
    async with database.transaction() as tx:
        await add_user(tx, "ada")
        before = await tx.users.find_user("ada@example.com")
        assert before
        assert before.is_active
        await tx.user_administration.set_active(before.id, active=False)
        after = await tx.users.find_user("ada@example.com")
        assert after
        assert not after.is_active


async def test_an_object_of_the_session_that_was_changed_is_not_written(database: Database) -> None:
    async def change_it() -> None:
        async with database.transaction() as tx:
            await add_user(tx, "ada")
            ada = await tx.users.find_user("ada@example.com")
            assert ada
            ada.role = Role.ADMIN

    with pytest.raises(RuntimeError, match="guard"):
        await change_it()
    assert await users_of(database) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_transaction_that_waited_for_the_lock_of_sqlite_does_not_live_in_the_past(
    database: Database, tmp_path: Path
) -> None:
    await database.check()
    held = sqlite3.connect(tmp_path / "auth.db", isolation_level=None, check_same_thread=False)
    held.execute("BEGIN IMMEDIATE")
    released: list[datetime] = []

    def release() -> None:
        released.append(datetime.now(UTC))
        held.execute("ROLLBACK")

    releasing = threading.Timer(0.3, release)
    releasing.start()
    async with database.transaction() as tx:
        now = await tx.signing_keys.lock()
    releasing.join()
    held.close()
    assert now >= released[0]


async def test_a_savepoint_rolls_back_alone(database: Database) -> None:
    async def write_and_raise(tx: Transaction) -> None:
        async with tx.session.begin_nested():
            await add_user(tx, "bob")
            raise RuntimeError("changed my mind")

    async with database.transaction() as tx:
        await add_user(tx, "ada")
        with pytest.raises(RuntimeError, match="changed my mind"):
            await write_and_raise(tx)
        await add_user(tx, "eve")
    assert await users_of(database) == 2


async def test_a_transaction_goes_on_after_a_statement_that_failed_in_a_savepoint(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(DBAPIError):
            async with tx.session.begin_nested():
                await query(tx, "SELECT 1 FROM no_such_table")
        await add_user(tx, "ada")
    assert await users_of(database) == 1


async def test_a_lone_statement_is_one_round_trip_and_a_transaction_has_two_more(
    cluster: Cluster, make_database: MakeDatabase
) -> None:
    with TcpProxy(cluster.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, pool_pre_ping=False, pool_size=1)
        await database.check()  # connects, and prepares the statement
        proxy.reset_counters()
        await database.check()
        assert proxy.round_trips == 1
        async with database.transaction() as tx:
            await query(tx, "SELECT 1")
        assert proxy.round_trips == 1 + 3


def test_a_connection_to_sqlite_that_is_given_up_at_any_moment_is_closed_before_the_end(tmp_path: Path) -> None:
    """Its thread would speak to a loop that is closed, which is an error here, as any in a thread."""

    async def give_up(seconds: float) -> None:
        database = Database(DatabaseSettings(DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/auth.db", _env_file=None))
        coming = asyncio.create_task(database.check())
        await asyncio.sleep(seconds)
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming
        await database.dispose()

    for moment in range(100):
        asyncio.run(give_up(moment / 20_000))
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(10)
