"""A pool of connections. Every wait in here has an end, and every failure becomes a `DatabaseUnavailable`."""

import asyncio
import sys
import time
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError, MissingGreenlet
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import in_greenlet

from auth_service.database.connection import BY_DRIVER, Connection
from auth_service.database.deadline import Deadline
from auth_service.database.dialects import dialect_of
from auth_service.database.errors import WrongServer, domain_errors, raise_domain_error
from auth_service.database.pool_queue import PoolQueue
from auth_service.errors import DatabaseUnavailable
from auth_service.settings import DatabaseSettings

# Beyond the statement time-out, which the server keeps, for a server that does not answer at all.
MARGIN = timedelta(seconds=0.5)
PING_AFTER = 1.0  # seconds without an answer of the server to anybody; then connections are tried before they are used
NEVER = float("-inf")
WAS_OUT = "was_out"  # of a connection that has been taken from the pool before


class Pool:
    """Connections to PostgreSQL, or to the embedded SQLite."""

    def __init__(self, settings: DatabaseSettings, *, read_only: bool = False) -> None:
        self.is_postgresql = settings.is_postgresql
        self._engine = dialect_of(settings).make_engine(settings, read_only=read_only)
        self.places = _places(settings)
        self._budget = settings.statement_timeout + MARGIN
        self._time_outs = 0
        self._answered_at = NEVER
        self._before_renewal = 0  # so many idle connections are taken before one that must be made anew
        self._closing: set[asyncio.Task[None]] = set()
        if settings.is_postgresql and not settings.pgbouncer:
            self._explicit = self._engine.execution_options(isolation_level="READ COMMITTED")
            self._single = self._engine.execution_options(**{BY_DRIVER: not settings.echo})
        elif settings.is_postgresql:
            # A pooler hands the steps of a lone statement to different servers; a transaction keeps them together.
            self._explicit = self._single = self._engine
        else:
            self._explicit = self._engine
            self._single = self._engine.execution_options(sqlite_begin="DEFERRED")
        if settings.is_postgresql and settings.pool_pre_ping:
            event.listen(self._engine.sync_engine, "checkout", self._ping)

    def explicit(self, budget: timedelta | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection for a transaction that is begun and committed, for as long as the budget."""
        return _Loan(self, self._explicit, budget or self._budget, None)

    def single(self, patience: timedelta | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection whose statements are committed one by one, where that can be; got within `patience`."""
        return _Loan(self, self._single, self._budget, patience)

    async def take(self, engine: AsyncEngine, deadline: float, patience: timedelta | None) -> Connection:
        """Return a connection, for which it waits for `patience` or else till the deadline, a time of the loop.

        Raises:
            DatabaseUnavailable: there is none to be had.
        """
        if lease := await self._take_idle(engine, deadline):
            return lease
        wait = patience.total_seconds() if patience else deadline - asyncio.get_running_loop().time()
        with domain_errors():
            return await self._check_out(engine, wait, deadline)

    async def give_back(self, lease: Connection, deadline: float) -> None:
        """To the end, also for a request that is cancelled right now; a transaction is rolled back by the deadline."""
        lease.is_lost |= self.is_postgresql and lease.is_closed
        self._answered_at = NEVER if lease.is_lost else time.monotonic()
        if lease.is_lost or lease.in_transaction or not self.is_postgresql or self._has_overflow:
            with domain_errors():
                await asyncio.shield(self._in_background(_close(lease, deadline)))
        elif not lease.put_back():
            await lease.close()  # which waits for nothing here

    async def _take_idle(self, engine: AsyncEngine, deadline: float) -> Connection | None:
        """A connection that is there, to a server that answered a moment ago, so that there is nothing to wait for."""
        if not (self.is_postgresql and self._is_well and self._idle):
            return None
        if self._before_renewal:
            self._before_renewal -= 1
            return None
        try:
            lease = Connection(engine, self._engine.sync_engine.pool.connect())
        except MissingGreenlet:  # SQLAlchemy's word for a wait: it was lost or too old, and a new one must be made
            # It is the last in the queue now, and whoever takes it must be one who waits.
            self._before_renewal = self._idle - 1
            return None
        if not lease.is_closed:
            return lease
        await self.give_back(lease, deadline)
        return None

    @property
    def _is_well(self) -> bool:
        return time.monotonic() - self._answered_at < PING_AFTER

    @property
    def _idle(self) -> int:
        pool: Any = self._engine.sync_engine.pool
        return int(pool.checkedin())

    @property
    def _has_overflow(self) -> bool:
        pool: Any = self._engine.sync_engine.pool
        return int(pool.overflow()) > 0

    def _ping(self, connection: Any, record: Any, _fairy: object) -> None:
        """What the pool does with each connection that is taken from it; SQLAlchemy's own ping would come each time.

        A new one has just been answered, and of two failures in a row SQLAlchemy makes an error that is not ours. Who
        cannot wait has asked already whether the server is well.
        """
        dialect: Any = self._engine.dialect
        is_new, record.info[WAS_OUT] = WAS_OUT not in record.info, True
        if is_new or not in_greenlet() or self._is_well:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    async def _check_out(self, engine: AsyncEngine, patience: float, deadline: float) -> Connection:
        """Wait for a connection no longer than `patience` seconds, whatever the driver is waiting for."""

        async def take() -> Connection:
            lease = await Connection.new(engine)
            if not self.is_postgresql or not lease.is_closed:
                return lease
            await self.give_back(lease, deadline)  # and the next one is tried
            return await Connection.new(engine)

        task = asyncio.create_task(take())
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

    def _abandon(self, connecting: "asyncio.Task[Connection]") -> None:
        """Give up a connection that may still come. The driver's polite good-bye to a silent server takes a while."""

        async def close() -> None:
            with suppress(Exception, asyncio.CancelledError):
                await (await connecting).close()

        # aiosqlite would not wait for its thread, which then speaks to a loop that may be closed.
        if self.is_postgresql:
            connecting.cancel()
        self._in_background(close())

    def _in_background(self, closing: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def numbers(self) -> dict[str, int]:
        """The pool's size, how many connections are out, beyond the size, and how often none was free in time."""
        pool: Any = self._engine.pool
        known = {"checked_out": "checkedout", "overflow": "overflow", "size": "size"}
        found = {name: max(0, getattr(pool, method)()) for name, method in known.items() if hasattr(pool, method)}
        return found | {"time_outs": self._time_outs + self.places.time_outs}

    async def dispose(self) -> None:
        """Close every connection; those that are still being waited for are dropped."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=1)
        await self._engine.dispose()


def _places(settings: DatabaseSettings) -> PoolQueue:
    if settings.is_postgresql:
        patience = settings.pool_timeout.total_seconds()
        return PoolQueue(kept=settings.pool_size, more=settings.max_overflow, patience=patience)
    # One connection in memory serves everyone, one transaction at a time; of a file everyone opens another.
    return PoolQueue(kept=sys.maxsize if settings.sqlite_file else 1)


class _Loan:
    """A connection for one block. No generator, because every refresh passes here and that would double its cost."""

    __slots__ = ("_budget", "_deadline", "_engine", "_lease", "_patience", "_pool", "_watch")

    def __init__(self, pool: Pool, engine: AsyncEngine, budget: timedelta, patience: timedelta | None) -> None:
        self._pool = pool
        self._engine = engine
        self._budget = budget
        self._patience = patience

    async def __aenter__(self) -> Connection:
        self._deadline = asyncio.get_running_loop().time() + self._budget.total_seconds()
        await self._pool.places.take()
        try:
            self._lease = await self._pool.take(self._engine, self._deadline, self._patience)
        except BaseException:
            self._pool.places.release()
            raise
        self._watch = Deadline(self._lease, self._deadline)
        return self._lease

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._watch.end(error)
            if error is not None:
                raise_domain_error(error)
        except WrongServer:
            self._lease.is_lost = True
            raise
        finally:
            try:
                await self._pool.give_back(self._lease, self._deadline)
            finally:
                self._pool.places.release()


async def _close(lease: Connection, deadline: float) -> None:
    with Deadline(lease, deadline):
        await lease.close()
