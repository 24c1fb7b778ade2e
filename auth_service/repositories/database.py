"""Engine, pool and transaction. Every wait in here has an end, and every failure becomes a `DatabaseUnavailable`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any

import tenacity
from sqlalchemy import func, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from auth_service.errors import DatabaseUnavailable
from auth_service.repositories.audit_events import AuditEvents
from auth_service.repositories.audit_trail import AuditTrail
from auth_service.repositories.clock import time_of
from auth_service.repositories.ended_sessions import EndedSessions
from auth_service.repositories.engine import make_engine
from auth_service.repositories.expired_sessions import ExpiredSessions
from auth_service.repositories.faults import TransactionConflict, WrongServer, domain_errors
from auth_service.repositories.link_tokens import LinkTokens
from auth_service.repositories.outbox import Outbox
from auth_service.repositories.refresh_tokens import RefreshTokens
from auth_service.repositories.signing_keys import SigningKeys
from auth_service.repositories.throttles import Throttles
from auth_service.repositories.user_sessions import UserSessions
from auth_service.repositories.users import Users
from auth_service.settings import DatabaseSettings

# Beyond the statement time-out, which the server keeps, for a server that does not answer at all.
MARGIN = timedelta(seconds=0.5)

CLEANUP_LOCK = 4_711_002  # beside the migrators' lock, see migrations/env.py

# For a use case whose transaction lost a deadlock, a serialization conflict or a lock: it is run again, at most twice.
retried = tenacity.retry(
    retry=tenacity.retry_if_exception_type(TransactionConflict),
    stop=tenacity.stop_after_attempt(3),
    wait=tenacity.wait_random(0.005, 0.05),
    reraise=True,
)


class Transaction:
    """The repositories, bound to one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.audit = AuditEvents(connection)
        self.audit_trail = AuditTrail(connection)
        self.users = Users(connection, self.audit)
        self.refresh_tokens = RefreshTokens(connection, self.audit)
        self.user_sessions = UserSessions(connection, self.audit)
        self.ended_sessions = EndedSessions(connection)
        self.expired_sessions = ExpiredSessions(connection)
        self.outbox = Outbox(connection)
        self.link_tokens = LinkTokens(connection)
        self.throttles = Throttles(connection)
        self.signing_keys = SigningKeys(connection, self.audit)

    async def become_only_cleaner(self, budget: timedelta) -> bool:
        """Try to be the one clean-up at work until this transaction ends (a lock of the transaction survives a pooler).

        SQLite has one writer at a time anyway.
        """
        if self.connection.dialect.name != "postgresql":
            return True
        await self.allow_slow_statements(budget)
        lock = select(func.pg_try_advisory_xact_lock(CLEANUP_LOCK))
        return bool((await self.connection.execute(lock)).scalar_one())

    async def allow_slow_statements(self, budget: timedelta) -> None:
        """Lift the statement time-out for this transaction: a job may take longer than a request."""
        if self.connection.dialect.name == "postgresql":
            milliseconds = str(round(budget.total_seconds() * 1000))
            await self.connection.execute(select(func.set_config("statement_timeout", milliseconds, True)))

    def savepoint(self) -> AsyncTransaction:
        """A nested transaction, for use with `async with`."""
        return self.connection.begin_nested()


class Database:
    """A pool of connections to PostgreSQL, or to the embedded SQLite."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.is_postgresql = settings.is_postgresql
        self._engine = make_engine(settings)
        # One connection in memory serves everyone, one transaction at a time.
        in_memory = not settings.is_postgresql and settings.sqlite_file is None
        self._turn = asyncio.Lock() if in_memory else nullcontext()
        self._budget = (settings.statement_timeout + MARGIN).total_seconds()
        self._time_outs = 0
        self._abandoned: set[asyncio.Task[None]] = set()
        self.mail_was_written = asyncio.Event()
        if settings.is_postgresql and not settings.pgbouncer:
            self._explicit = self._engine.execution_options(isolation_level="READ COMMITTED")
            self._single = self._engine
        elif settings.is_postgresql:
            # A pooler hands the steps of a lone statement to different servers; a transaction keeps them together.
            self._explicit = self._single = self._engine
        else:
            self._explicit = self._engine
            self._single = self._engine.execution_options(sqlite_begin="DEFERRED")

    @asynccontextmanager
    async def transaction(self, budget: timedelta | None = None) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises:
            DatabaseUnavailable: no connection, no answer within the budget, or a lost connection.
        """
        async with self._open(self._explicit, budget) as connection, connection.begin():
            tx = Transaction(connection)
            yield tx
        self._tell(tx)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Transaction]:
        """For use cases of one statement, or of several that need no common fate: no BEGIN and no COMMIT is sent.

        On SQLite, and through a pooler, the block is one transaction all the same.

        Raises:
            DatabaseUnavailable: as in `transaction()`.
        """
        async with self._open(self._single, None) as connection:
            tx = Transaction(connection)
            yield tx
            await connection.commit()
        self._tell(tx)

    def _tell(self, tx: Transaction) -> None:
        """Tell what is committed: the security events to the log, and mail to whoever sends it."""
        tx.audit.tell()
        if tx.outbox.was_written:
            self.mail_was_written.set()

    @asynccontextmanager
    async def _open(self, engine: AsyncEngine, budget: timedelta | None) -> AsyncIterator[AsyncConnection]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (budget.total_seconds() if budget else self._budget)
        with domain_errors():
            async with self._turn:
                connection = await self._check_out(engine, deadline - loop.time())
                async with self._watched(connection, deadline):
                    with domain_errors():
                        yield connection

    @asynccontextmanager
    async def _watched(self, connection: AsyncConnection, deadline: float) -> AsyncIterator[None]:
        """Give the connection back at the end, and hang up at the deadline: whoever waits on it then gets an error."""
        loop, watch = asyncio.get_running_loop(), None
        try:
            if self.is_postgresql:
                driver_connection: Any = (await connection.get_raw_connection()).driver_connection
                watch = loop.call_at(deadline, driver_connection.terminate)
            yield
        except WrongServer:
            await connection.invalidate()
            raise
        except AttributeError as error:  # what asyncpg raises if we hang up while it prepares a statement
            if watch and loop.time() >= deadline:
                raise DatabaseUnavailable from error
            raise
        finally:
            await connection.close()
            if watch:
                watch.cancel()

    async def _check_out(self, engine: AsyncEngine, patience: float) -> AsyncConnection:
        """Wait for a connection no longer than `patience` seconds, whatever the driver is waiting for."""

        async def connect() -> AsyncConnection:
            return await engine.connect()

        task = asyncio.create_task(connect())
        try:
            done, _ = await asyncio.wait({task}, timeout=patience)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise DatabaseUnavailable
        if isinstance(task.exception(), PoolTimeoutError):
            self._time_outs += 1
        return task.result()

    def _abandon(self, connecting: "asyncio.Task[AsyncConnection]") -> None:
        """Give up a connection that may still come. The driver's polite good-bye to a silent server takes a while."""

        async def close() -> None:
            with suppress(Exception, asyncio.CancelledError):
                await (await connecting).close()

        connecting.cancel()
        closing = asyncio.create_task(close())
        self._abandoned.add(closing)
        closing.add_done_callback(self._abandoned.discard)

    def numbers(self) -> dict[str, int]:
        """The pool's size, how many connections are out, beyond the size, and how often nobody got one in time."""
        pool: Any = self._engine.pool
        known = {"checked_out": "checkedout", "overflow": "overflow", "size": "size"}
        found = {name: max(0, getattr(pool, method)()) for name, method in known.items() if hasattr(pool, method)}
        return found | {"time_outs": self._time_outs}

    async def run_sync(self, work: Callable[..., Any], budget: timedelta) -> Any:
        """Run blocking SQLAlchemy code, such as a migration, in one transaction."""
        async with self.transaction(budget) as tx:
            return await tx.connection.run_sync(work)

    async def check(self) -> None:
        """Ask for `SELECT 1`; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            await tx.connection.execute(text("SELECT 1"))

    async def now(self) -> datetime:
        """The database's time; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            now: datetime = (await tx.connection.execute(select(time_of(tx.connection)))).scalar_one()
            return now

    async def dispose(self) -> None:
        """Close every connection; those that are still being waited for are dropped."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=1)
        await self._engine.dispose()
