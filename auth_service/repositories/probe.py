"""A look at the database from outside the pool."""

from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database.dialects import ROOM, Dialect, dialect_of
from auth_service.database.errors.translation import domain_errors
from auth_service.database.schema import SchemaState, check, explained
from auth_service.errors import DatabaseReadOnly, MissingPrivileges, SchemaNotReady
from auth_service.repositories.database import Database
from auth_service.repositories.privileges import SERVICE, find_missing, needed_by
from auth_service.settings import DatabaseSettings

__all__ = ["ROOM", "Probe", "try_disk"]

PATIENCE = timedelta(seconds=0.7)


class Probe:
    def __init__(self, settings: DatabaseSettings, database: Database) -> None:
        self._database = database
        self._dialect = dialect_of(settings)
        # A database in memory has no outside: it is asked through its one connection.
        in_memory = not settings.is_postgresql and settings.sqlite_file is None
        self._engine = None if in_memory else self._dialect.make_probe_engine(settings, PATIENCE)

    @property
    def disk_was_full(self) -> bool:
        """Whether a write met a full disk in the last minute."""
        return self._database.disk_was_full

    async def check(self) -> SchemaState:
        """Return if the database answers, takes writes, its schema serves us, and our role may do all that we do.

        Raises:
            DatabaseUnavailable: it does not answer.
            SchemaNotReady: it has none, an older one, or one that is too new for this code.
            DatabaseReadOnly: it takes no writes, as a standby.
            MissingPrivileges: the grants are older than the schema.
        """
        if self._engine is None:
            async with self._database.statement() as tx:
                return await _examine(tx.session, self._dialect)
        else:
            with domain_errors():
                async with AsyncSession(self._engine) as session:
                    try:
                        return await _examine(session, self._dialect)
                    except SchemaNotReady as error:
                        raise await explained(await session.connection(), error) from error.__cause__

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()


async def try_disk(settings: DatabaseSettings, database: Database) -> None:
    """Return if the disk of the database has room for `ROOM` bytes more.

    Raises:
        DatabaseDiskFull: it has not.
        DatabaseUnavailable: it does not answer.
    """
    async with database.transaction() as tx:
        await dialect_of(settings).try_disk(tx.session, settings)


async def _examine(session: AsyncSession, dialect: Dialect) -> SchemaState:
    state = await (await session.connection()).run_sync(check)
    if await dialect.is_read_only(session):
        raise DatabaseReadOnly
    if missing := await find_missing(session, needed_by(SERVICE)):
        raise MissingPrivileges(missing)
    return state
