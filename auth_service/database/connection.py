"""A connection of the pool, lent to one use case."""

import asyncio
import time
from typing import Any, Self

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database.dialects import Dialect
from auth_service.database.hosts import CONNECTION_LOST

MADE_AT = "made_at"  # in what the pool keeps beside each connection


class _Session(Session):
    """Its objects are for reading. A change to one would be written without a guard, an epoch or a trail."""


@event.listens_for(_Session, "before_flush")
def _refuse_to_flush(*_: object) -> None:
    raise RuntimeError("an object of the session was changed: writes are statements with their guard in the WHERE")


# What is read is what the row holds now, also if it was read before: guarded writes go past the session's objects.
make_session = async_sessionmaker(
    class_=AsyncSession,
    sync_session_class=_Session,
    expire_on_commit=False,
    autoflush=False,
    execution_options={"populate_existing": True},
)


class Connection:
    """SQLAlchemy's form of the connection is made when a statement needs it, which those of the hot path do not."""

    def __init__(
        self,
        dialect: Dialect,
        engine: AsyncEngine,
        lent: PoolProxiedConnection,
        whole: AsyncConnection | None = None,
        *,
        by_driver: bool,
    ) -> None:
        self.dialect = dialect
        self._engine = engine
        self._lent = lent
        self._whole = whole
        self._session: AsyncSession | None = None
        self._line: Any = lent.driver_connection
        self.driver: Any = self._line if by_driver else None
        """asyncpg's own connection, if statements may be given to it; else None."""
        info = lent.info
        self.is_new = MADE_AT not in info
        self.made_at: float = info.setdefault(MADE_AT, time.monotonic())
        self._hanging_up: asyncio.TimerHandle | None = None

    @classmethod
    async def new(cls, dialect: Dialect, engine: AsyncEngine, *, by_driver: bool = False) -> Self:
        """Wait for one of the pool's, or for a new one; raises what SQLAlchemy does if there is none to be had."""
        whole = await engine.connect()
        return cls(dialect, engine, await whole.get_raw_connection(), whole, by_driver=by_driver)

    @property
    def whole(self) -> AsyncConnection:
        """SQLAlchemy's form of it."""
        if self._whole is None:
            self._whole = AsyncConnection(self._engine, SyncConnection(self._engine.sync_engine, self._lent))
        return self._whole

    @property
    def session(self) -> AsyncSession:
        """SQLModel's session on it; the block that got the connection commits, and never the session."""
        if self._session is None:
            self._session = make_session(bind=self.whole)
        return self._session

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Execute a Core statement in the session's transaction; the session itself is for what SQLModel types."""
        return await (await self.session.connection()).execute(statement, values)

    @property
    def in_transaction(self) -> bool:
        return self._whole is not None and self._whole.in_transaction()

    @property
    def is_closed(self) -> bool:
        """Whether PostgreSQL or we have hung up, as far as is known."""
        return bool(self._line.is_closed())

    async def answers(self) -> bool:
        """Ask PostgreSQL for nothing."""
        try:
            await self._line.execute("SELECT 1")
        except CONNECTION_LOST:
            return False
        return True

    def hang_up_at(self, deadline: float) -> None:
        """Hang up at this time of the loop, unless it is given back before; the last word counts."""
        if self._hanging_up:
            self._hanging_up.cancel()
        self._hanging_up = asyncio.get_running_loop().call_at(deadline, self.hang_up)

    def hang_up(self) -> None:
        """Let whoever waits for PostgreSQL on this connection get an error, and lend it to nobody again."""
        self._line.terminate()

    def drop(self) -> None:
        """Hang up, and take it out of the pool."""
        self.hang_up()
        if self._lent.is_valid:
            self._lent.invalidate()

    def put_back(self) -> bool:
        """Return it to the pool if only the driver has used it, as nothing has to be waited for then."""
        if self._whole:
            return False
        if self._hanging_up:
            self._hanging_up.cancel()
        if self._lent.is_valid:
            self._lent.close()
        return True

    async def close(self) -> None:
        """Roll back what is open, and return it to the pool or, if it is one too many, close it."""
        try:
            await self.whole.close()
        finally:
            if self._hanging_up:
                self._hanging_up.cancel()
