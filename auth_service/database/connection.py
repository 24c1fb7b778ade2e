"""A connection of the pool, lent to one use case."""

from typing import Any, Self

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database.dialects import dialect_named

# The option of an engine whose connections may be used beside SQLAlchemy: no transaction is open on them, and each
# prepares its own statements.
BY_DRIVER = "by_driver"

# No reads after a commit, and no writes that nobody asked for: what a transaction does stands in its use case.
make_session = async_sessionmaker(class_=AsyncSession, expire_on_commit=False, autoflush=False)


class Connection:
    """SQLAlchemy's form of the connection is made when a statement needs it, which those of the hot path do not."""

    def __init__(self, engine: AsyncEngine, lent: PoolProxiedConnection, whole: AsyncConnection | None = None) -> None:
        self.dialect = dialect_named(engine.dialect.name)
        self._engine = engine
        self._lent = lent
        self._whole = whole
        self._session: AsyncSession | None = None
        self._driver: Any = lent.driver_connection
        self.is_lost = False
        """Whether nobody may use it again."""

    @classmethod
    async def new(cls, engine: AsyncEngine) -> Self:
        """Take a connection from the pool, or make one; raises what SQLAlchemy does if there is none to be had."""
        whole = await engine.connect()
        return cls(engine, (await whole.get_raw_connection()), whole)

    @property
    def driver(self) -> Any:
        """asyncpg's own connection, if statements may be given to it; else None."""
        return self._driver if self._engine.sync_engine.get_execution_options().get(BY_DRIVER) else None

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
        return (self._whole is not None and self._whole.invalidated) or bool(self._driver.is_closed())

    def hang_up(self) -> None:
        """Let whoever waits for PostgreSQL on this connection get an error."""
        self._driver.terminate()

    def put_back(self) -> bool:
        """Return it to the pool if only the driver has used it, as nothing has to be waited for then."""
        if self._whole is None:
            self._lent.close()
        return self._whole is None

    async def close(self) -> None:
        """Return it to the pool, or drop it if it is lost."""
        if self.is_lost:
            await self.whole.invalidate()
        await self.whole.close()
