"""Transactions, lone statements and reads. Every failure in here becomes a `DatabaseUnavailable`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from auth_service.database import schema
from auth_service.database.dialects import dialect_of
from auth_service.database.pool import Pool
from auth_service.database.replica import Replica
from auth_service.repositories.transaction import Reading, Transaction
from auth_service.settings import DatabaseSettings

DISK_REMEMBERED = 60.0  # seconds


class Database:
    """Connections to PostgreSQL and perhaps its read replica, or to the embedded SQLite."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.dialect = dialect_of(settings)
        self._pool = Pool(settings)
        self.replica = Replica(settings) if settings.read_replica_url else None
        self.mail_was_written = asyncio.Event()
        self.has_two_connections = self.dialect.is_server and not settings.pgbouncer and settings.largest_pool > 1
        """Whether a connection may do for long what another one waits for."""

    @asynccontextmanager
    async def transaction(self, budget: timedelta | None = None) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises:
            DatabaseUnavailable: no connection, no answer within the budget, or a lost connection.
        """
        async with self._pool.explicit(budget) as connection, connection.session.begin():
            # On SQLite this waits for the lock: what comes after must not take the time from before.
            await connection.session.connection()
            tx = Transaction(connection)
            yield tx
        self._tell(tx)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Transaction]:
        """For use cases of one statement, or of several that need no common fate: no BEGIN and no COMMIT is sent.

        On SQLite, and through a pooler, the block is one transaction all the same. On SQLite it takes the lock when it
        writes, and has to write first then: what has read already is refused the lock at once while somebody else has
        it. `tests/support/late_writes.py` watches that.

        Raises:
            DatabaseUnavailable: as in `transaction()`.
        """
        async with self._pool.single() as connection:
            tx = Transaction(connection)
            yield tx
            if connection.in_transaction:  # not if the driver alone was at work
                await connection.session.commit()
        self._tell(tx)

    def _tell(self, tx: Transaction) -> None:
        """Tell what is committed: the security events to the log, and mail to the dispatcher."""
        tx.audit.tell()
        if tx.outbox.was_written:
            self.mail_was_written.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """For lists, searches and counts: on the read replica if there is one that works, else as in `statement()`.

        Its user is `@retried`: the block of a replica that failed in the middle is run again, on the primary.

        Raises:
            TransactionConflict: the replica failed; the next block goes to the primary.
            DatabaseUnavailable: as in `transaction()`.
        """
        async with AsyncExitStack() as stack:
            connection = await self.replica.enter(stack) if self.replica else None
            if connection is None:
                connection = await stack.enter_async_context(self._pool.single())
            yield Reading(connection)
            await connection.session.commit()

    @property
    def disk_was_full(self) -> bool:
        """Whether a write met a full disk in the last minute."""
        return time.monotonic() - self._pool.disk_full_at < DISK_REMEMBERED

    def numbers(self) -> dict[str, int]:
        """The pool's size, how many connections are out and beyond the size, who waits, and who waited in vain."""
        return self._pool.numbers()

    async def run_sync(self, work: Callable[..., Any], budget: timedelta) -> Any:
        """Run blocking SQLAlchemy code, such as a migration, in one transaction."""
        async with self.transaction(budget) as tx:
            return await (await tx.session.connection()).run_sync(work)

    async def run_statements(self, work: Callable[..., Any], budget: timedelta) -> Any:
        """Run blocking SQLAlchemy code statement by statement, each of which commits itself.

        Its connection is closed after that, so that the code may set on it what it likes.
        """
        async with self._pool.single(budget) as connection:
            try:
                return await connection.whole.run_sync(work)
            finally:
                connection.drop()

    async def check(self) -> None:
        """Ask for `SELECT 1`; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            await tx.session.scalar(text("SELECT 1"))

    async def check_schema(self) -> schema.SchemaState:
        """Return how the schema stands to this code; raises as `schema.check` does."""
        async with self.statement() as tx:
            return await (await tx.session.connection()).run_sync(schema.check)

    async def now(self) -> datetime:
        """The database's time; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            now: datetime = (await tx.session.exec(select(tx.connection.dialect.now()))).one()
            return now

    async def dispose(self) -> None:
        """Close every connection; those that are still being waited for are dropped."""
        await self._pool.dispose()
        if self.replica:
            await self.replica.dispose()
