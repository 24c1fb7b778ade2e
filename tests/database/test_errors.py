"""What a driver raises, and what the service says instead. Every error here is a real one, from a real database."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from auth_service.database.errors import (
    ForeignTables,
    NoSqliteFile,
    SqliteFileBusy,
    SqliteFileUnusable,
    StatementOutOfDate,
    StatementTooSlow,
    TransactionConflict,
    WrongServer,
)
from auth_service.database.errors.refusals import (
    DatabaseStarting,
    NoSuchDatabase,
    PoolerNotDeclared,
    TooManyConnections,
    WrongEncoding,
)
from auth_service.errors import AccountExists, DatabaseDiskFull, DatabaseUnavailable, MissingPrivileges, SchemaNotReady
from auth_service.repositories.database import Database
from tests.conftest import PATIENT
from tests.support.databases import MakeDatabase, add_user, query
from tests.support.polling import eventually
from tests.support.sql import run_sql


@pytest.fixture
async def served(make_database: MakeDatabase, postgres_url: str) -> Database:
    """A database on PostgreSQL with one connection in its pool."""
    return make_database(postgres_url, pool_size=1, max_overflow=0, **PATIENT)


async def provoke(database: Database, *statements: str) -> BaseException:
    """Run the statements in one transaction and return what was raised."""
    try:
        async with database.transaction() as tx:
            for statement in statements:
                await query(tx, statement)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test is about
        return error
    raise AssertionError("nothing was raised")


def raising(sqlstate: str) -> str:
    """A statement to which the server answers with an error that cannot be had in another way in a test."""
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$"


# Who may not even look into the schema is told that there is no such table.
WITHOUT_RIGHTS = ("GRANT USAGE ON SCHEMA public TO pg_monitor", "SET LOCAL ROLE pg_monitor")
BECOMES: list[tuple[str, type[Exception], tuple[str, ...]]] = [
    ("statement time-out", StatementTooSlow, ("SET LOCAL statement_timeout = 100", "SELECT pg_sleep(5)")),
    ("no such table", SchemaNotReady, ("SELECT 1 FROM no_such_table",)),
    ("no such column", SchemaNotReady, ("SELECT no_such_column FROM users",)),
    ("no such schema", SchemaNotReady, ("CREATE TABLE no_such_schema.t (id int)",)),
    ("no permission", MissingPrivileges, (*WITHOUT_RIGHTS, "SELECT 1 FROM users")),
    ("read-only", WrongServer, ("SET TRANSACTION READ ONLY", "DELETE FROM users")),
    ("killed by an operator", DatabaseUnavailable, ("SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")),
    ("disk full", DatabaseDiskFull, (raising("53100"),)),
    ("no connection left", TooManyConnections, (raising("53300"),)),
    ("stopped", DatabaseStarting, (raising("57P01"),)),
    ("dropped", NoSuchDatabase, (raising("57P04"),)),
    ("prepared elsewhere", PoolerNotDeclared, (raising("26000"),)),
    ("prepared by another", PoolerNotDeclared, (raising("42P05"),)),
    ("a letter that the encoding has not", WrongEncoding, (raising("22P05"),)),
    ("a table of another application", ForeignTables, ("CREATE TABLE users ()",)),
    ("a trigger of another application", ForeignTables, (raising("42710"),)),
    ("a function of another application", ForeignTables, (raising("42723"),)),
    ("no such role", SchemaNotReady, ("GRANT SELECT ON users TO no_such_role",)),
    ("what the server cannot do", DBAPIError, (raising("0A000"),)),
    ("out of memory", DatabaseUnavailable, (raising("53200"),)),
    ("input/output error", DatabaseUnavailable, (raising("58030"),)),
    ("corrupt index", DatabaseUnavailable, (raising("XX002"),)),
    ("division by zero", DBAPIError, ("SELECT 1 / 0",)),
    ("syntax error", DBAPIError, ("SELEKT",)),
]


@pytest.mark.parametrize(("expected", "statements"), [row[1:] for row in BECOMES], ids=[row[0] for row in BECOMES])
async def test_an_error_of_the_server_becomes_what_the_service_says(
    served: Database, expected: type[Exception], statements: tuple[str, ...]
) -> None:
    error = await provoke(served, *statements)
    assert type(error) is expected or (expected is DBAPIError and isinstance(error, DBAPIError))
    await served.check()


@pytest.mark.parametrize("said", [asyncpg.ProtocolError, asyncpg.exceptions.OutdatedSchemaCacheError])
async def test_an_answer_that_the_driver_cannot_read_is_unavailable(
    served: Database, said: type[asyncpg.InternalClientError]
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with served.statement():
            raise said("no server of ours gives such an answer")
    await served.check()


async def test_an_idle_transaction_that_the_server_ended_is_unavailable(served: Database, rival: Any) -> None:
    async def idle_for_too_long() -> None:
        async with served.transaction() as tx:
            await query(tx, "SET LOCAL idle_in_transaction_session_timeout = 50")
            pid = await query(tx, "SELECT pg_backend_pid()")
            await eventually(rival.fetchval, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid)
            await query(tx, "SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await idle_for_too_long()
    await served.check()


async def test_a_server_that_stops_as_its_disk_is_full_is_told_as_a_full_disk(served: Database, rival: Any) -> None:
    """Where the journal of PostgreSQL has no room, it says 53100 and hangs up, and the lost connection comes last."""

    async def meet_it() -> None:
        async with served.transaction() as tx:
            pid = await query(tx, "SELECT pg_backend_pid()")
            try:
                await query(tx, raising("53100"))
            finally:
                await rival.execute("SELECT pg_terminate_backend($1)", pid)
                await eventually(rival.fetchval, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid)
                await query(tx, "SELECT 1")

    with pytest.raises(DatabaseDiskFull):
        await meet_it()
    assert served.disk_was_full
    await served.check()


async def test_a_lock_that_is_not_given_in_time_is_a_conflict(served: Database, rival: Any) -> None:
    async with rival.transaction():
        await rival.execute("LOCK TABLE users")
        assert type(await provoke(served, "SET LOCAL lock_timeout = 100", "DELETE FROM users")) is TransactionConflict
    await served.check()


async def test_the_loser_of_a_deadlock_has_a_conflict(served: Database, rival: Any) -> None:
    blocked = f"SELECT cardinality(pg_blocking_pids({rival.get_server_pid()})) > 0"

    async def lock_in_the_other_order() -> None:
        async with served.transaction() as tx:
            await query(tx, "SET LOCAL deadlock_timeout = '10ms'")
            await query(tx, "SET LOCAL lock_timeout = 0")
            await query(tx, "LOCK TABLE refresh_tokens")
            waiting.set_result(asyncio.ensure_future(rival.execute("LOCK TABLE refresh_tokens")))
            await eventually(query, tx, blocked)
            await query(tx, "LOCK TABLE users")

    waiting: asyncio.Future[asyncio.Future[Any]] = asyncio.get_running_loop().create_future()
    async with rival.transaction():
        await rival.execute("SET LOCAL deadlock_timeout = '1min'")
        await rival.execute("LOCK TABLE users")
        with pytest.raises(TransactionConflict):
            await lock_in_the_other_order()
        await waiting.result()


async def test_the_loser_of_a_serialization_conflict_has_a_conflict(served: Database, rival: Any) -> None:
    async with served.transaction() as tx:
        await add_user(tx, "ada")

    async def update_what_has_changed() -> None:
        async with served.transaction() as tx:
            await query(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await query(tx, "SELECT count(*) FROM users")
            await rival.execute("UPDATE users SET role = 'admin'")
            await query(tx, "UPDATE users SET role = 'user'")

    with pytest.raises(TransactionConflict):
        await update_what_has_changed()


async def test_a_read_only_server_loses_its_connection(served: Database) -> None:
    async with served.statement() as tx:
        first = await query(tx, "SELECT pg_backend_pid()")
    assert type(await provoke(served, "SET TRANSACTION READ ONLY", "DELETE FROM users")) is WrongServer
    async with served.statement() as tx:
        assert await query(tx, "SELECT pg_backend_pid()") != first


@pytest.mark.parametrize(("column", "value"), [("email_canonical", "a@b.c"), ("username_canonical", "ada")])
async def test_a_name_that_is_taken_is_a_named_conflict(database: Database, column: str, value: str) -> None:
    async def add(email: str) -> None:
        values = {"email": email, "email_canonical": email, "hashed_password": "none", column: value}
        async with database.statement() as tx:
            await tx.users.add(values)

    await add("first@example.com")
    with pytest.raises(AccountExists):
        await add("second@example.com")


async def test_a_conflict_without_a_name_is_a_fault_of_our_own(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.statement() as tx:
            await query(tx, "INSERT INTO users (id) VALUES (NULL)")


async def test_what_a_lost_connection_said_never_reaches_the_client(served: Database) -> None:
    error = await provoke(served, "SELECT 'hunter2' FROM no_such_table")
    assert "hunter2" not in str(error)


async def test_a_file_that_is_no_database_is_unavailable(make_database: MakeDatabase, tmp_path: Path) -> None:
    (tmp_path / "auth.db").write_text("no database " * 1000)
    with pytest.raises(NoSqliteFile):
        await make_database(f"sqlite+aiosqlite:///{tmp_path}/auth.db").check()


@pytest.mark.parametrize("name", ["missing/auth.db", ""])
async def test_a_file_that_cannot_be_opened_is_not_said_to_be_busy(
    make_database: MakeDatabase, tmp_path: Path, name: str
) -> None:
    with pytest.raises(SqliteFileUnusable):
        await make_database(f"sqlite+aiosqlite:///{tmp_path}/{name}").check()
    threads = [thread.name for thread in threading.enumerate()]
    assert not any("_connection_worker_thread" in name for name in threads), "it would speak to a loop that is closed"


async def test_a_statement_whose_result_has_another_type_by_now_is_a_conflict_once(
    served: Database, postgres_url: str
) -> None:
    question = "SELECT role FROM users"
    async with served.transaction() as tx:
        await query(tx, question)
    await run_sql(postgres_url, "ALTER TABLE users ALTER COLUMN role TYPE text")
    assert type(await provoke(served, question)) is StatementOutOfDate
    async with served.transaction() as tx:
        await query(tx, question)


async def test_an_sqlite_file_that_stays_locked_is_unavailable(make_database: MakeDatabase, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    database = make_database(url, statement_timeout=0.2)
    await database.check()
    held = sqlite3.connect(tmp_path / "auth.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    with pytest.raises(SqliteFileBusy):
        async with database.transaction():
            pass
    held.close()
