"""A pool of connections. Every wait in here has an end, and every failure becomes a `DatabaseUnavailable`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from weakref import WeakSet

from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from auth_service.database.connection import Connection
from auth_service.database.dialects import dialect_of
from auth_service.database.errors import WrongServer
from auth_service.database.errors.translation import domain_errors, raise_domain_error
from auth_service.database.pool_queue import PoolQueue
from auth_service.database.schema import explained
from auth_service.database.statement_spans import SYSTEM, watch
from auth_service.errors import DatabaseDiskFull, DatabaseUnavailable, SchemaNotReady
from auth_service.settings import DatabaseSettings
from auth_service.tracing import is_exported, span

# Beyond the statement time-out, which the server keeps, for a server that does not answer at all.
MARGIN = timedelta(seconds=0.5)
PING_AFTER = 1.0  # seconds without an answer of the server to anybody; then connections are tried before they are used
NEVER = float("-inf")


class Pool:
    """Connections to PostgreSQL, or to the embedded SQLite."""

    def __init__(self, settings: DatabaseSettings, *, read_only: bool = False) -> None:
        self._dialect = dialect_of(settings)
        self._engine = self._dialect.make_engine(settings, read_only=read_only)
        self._queue = _queue(settings, is_server=self._dialect.is_server)
        self._budget = settings.statement_timeout + MARGIN
        self._max_age = settings.pool_recycle.total_seconds()
        self._pings = settings.pool_pre_ping
        self._answered_at = NEVER
        self.disk_full_at = NEVER
        """When a write last met a full disk, by the clock that does not go back."""
        self._by_driver = self._dialect.runs_by_driver(settings)
        self._explicit, self._single = self._dialect.engines(settings, self._engine)
        self._lost: WeakSet[ConnectionPoolEntry] = WeakSet()  # what the pool has instead of connections that it lost
        event.listen(self._engine.sync_engine, "close", lambda _line, entry: self._lost.add(entry))
        event.listen(self._engine.sync_engine, "connect", lambda _line, entry: self._lost.discard(entry))
        event.listen(self._engine.sync_engine, "handle_error", _keep_the_others)
        self._told = {SYSTEM: self._engine.dialect.name}
        if is_exported():
            watch(self._engine)

    def explicit(self, budget: timedelta | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection for a transaction that is begun and committed, for as long as the budget."""
        return self._lend("transaction", self._explicit, budget or self._budget, by_driver=False)

    def single(self, budget: timedelta | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection whose statements are committed one by one, where that can be."""
        return self._lend("connection", self._single, budget or self._budget, by_driver=self._by_driver)

    def extend(self, connection: Connection) -> None:
        """Grant the use case of this connection the usual budget from now on."""
        connection.hang_up_at(asyncio.get_running_loop().time() + self._budget.total_seconds())

    @asynccontextmanager
    async def _lend(
        self, name: str, engine: AsyncEngine, budget: timedelta, *, by_driver: bool
    ) -> AsyncIterator[Connection]:
        deadline = asyncio.get_running_loop().time() + budget.total_seconds()
        with span(name, attributes=self._told) as use:
            async with self._queue:
                connection = await self._take(engine, deadline, by_driver=by_driver)
                use.mark("connected")
                if self._dialect.is_server:
                    connection.hang_up_at(deadline)
                try:
                    yield connection
                except Exception as error:
                    await self._refuse(connection, error)
                    raise
                finally:
                    await self._give_back(connection)

    async def _refuse(self, connection: Connection, error: Exception) -> None:
        """Raise what the service says for what a block has raised; return if that is to be raised itself."""
        try:
            raise_domain_error(error)
            if isinstance(error, SchemaNotReady):
                raise error
        except SchemaNotReady as not_ready:
            raise await explained(connection.whole, not_ready) from not_ready.__cause__
        except WrongServer:
            connection.hang_up()
            raise
        except DatabaseDiskFull:
            self.disk_full_at = time.monotonic()
            raise
        # asyncpg raises it if we hang up while it prepares a statement.
        if isinstance(error, AttributeError) and self._dialect.is_server and connection.is_closed:
            raise DatabaseUnavailable from error

    async def _take(self, engine: AsyncEngine, deadline: float, *, by_driver: bool) -> Connection:
        """Wait for a connection till the deadline, a time of the loop; raises `DatabaseUnavailable`."""
        pool: Any = self._engine.sync_engine.pool
        if self._dialect.is_server and self._is_well and pool.checkedin() and not self._lost:  # nothing to wait for
            connection = Connection(self._dialect, engine, pool.connect(), by_driver=by_driver)
            if self._is_good(connection):
                return connection
            connection.drop()
        with domain_errors():
            if not self._dialect.is_server:
                return await self._open_file(engine)
            async with asyncio.timeout_at(deadline):
                while True:
                    connection = await Connection.new(self._dialect, engine, by_driver=by_driver)
                    if await self._answers(connection):
                        return connection

    async def _open_file(self, engine: AsyncEngine) -> Connection:
        """Connect to SQLite. Its thread, once begun, must be waited for: it would speak to a loop that is closed."""
        opening = asyncio.create_task(Connection.new(self._dialect, engine))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await (await opening).close()
            raise

    @property
    def _is_well(self) -> bool:
        return not self._pings or time.monotonic() - self._answered_at < PING_AFTER

    def _is_good(self, connection: Connection) -> bool:
        return time.monotonic() - connection.made_at < self._max_age and not connection.is_closed

    async def _answers(self, connection: Connection) -> bool:
        """See that it can be used; drop it if not."""
        is_alive = connection.is_new
        try:
            is_alive |= self._is_good(connection) and (self._is_well or await connection.answers())
        finally:
            if not is_alive:
                connection.drop()
        return is_alive

    async def _give_back(self, connection: Connection) -> None:
        """To the end, also for a request that is cancelled right now; a transaction is rolled back by the deadline."""
        is_lost = self._dialect.is_server and connection.is_closed
        if is_lost:
            connection.drop()
        self._answered_at = NEVER if is_lost else time.monotonic()
        if (is_lost or self._has_no_overflow) and connection.put_back():
            return
        closing = asyncio.create_task(connection.close())
        try:
            with domain_errors():
                await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait({closing})
            raise

    @property
    def _has_no_overflow(self) -> bool:
        pool: Any = self._engine.sync_engine.pool
        return self._dialect.is_server and int(pool.overflow()) <= 0

    def numbers(self) -> dict[str, int]:
        """The pool's size, how many connections are out and beyond the size, who waits, and who waited in vain."""
        pool: Any = self._engine.sync_engine.pool
        known = {"checked_out": "checkedout", "overflow": "overflow", "size": "size"}
        found = {name: max(0, getattr(pool, method)()) for name, method in known.items() if hasattr(pool, method)}
        return found | {"waiting": self._queue.waiting, "time_outs": self._queue.time_outs}

    async def dispose(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _queue(settings: DatabaseSettings, *, is_server: bool) -> PoolQueue:
    if is_server:
        patience = settings.pool_timeout.total_seconds()
        return PoolQueue(kept=settings.pool_size, more=settings.max_overflow, patience=patience)
    # One connection in memory serves everyone, one transaction at a time; of a file everyone opens another.
    return PoolQueue(kept=sys.maxsize if settings.sqlite_file else 1)


def _keep_the_others(failure: ExceptionContext) -> None:
    """Of those that are lost too the driver knows, or the next ping finds out."""
    failure.invalidate_pool_on_disconnect = False
