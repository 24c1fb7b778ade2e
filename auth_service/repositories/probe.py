"""A look at the database from outside the pool."""

from datetime import timedelta

from sqlalchemy import text

from auth_service.errors import SchemaNotReady
from auth_service.repositories import migrator
from auth_service.repositories.database import Database
from auth_service.repositories.engine import make_probe_engine
from auth_service.repositories.faults import domain_errors
from auth_service.settings import DatabaseSettings

PATIENCE = timedelta(seconds=0.7)


class Probe:
    def __init__(self, settings: DatabaseSettings, database: Database) -> None:
        self._database = database
        # A database in memory has no outside: it is asked through its one connection.
        in_memory = not settings.is_postgresql and settings.sqlite_file is None
        self._engine = None if in_memory else make_probe_engine(settings, PATIENCE)

    async def check(self) -> None:
        """Return if the database answers and its schema is at head.

        Raises:
            DatabaseUnavailable: it does not answer.
            SchemaNotReady: it has another version, or none.
        """
        query = text("SELECT version_num FROM alembic_version")
        if self._engine is None:
            async with self._database.statement() as tx:
                found = (await tx.connection.execute(query)).scalars().all()
        else:
            with domain_errors():
                async with self._engine.connect() as connection:
                    found = (await connection.execute(query)).scalars().all()
        if found != [migrator.head()]:
            raise SchemaNotReady

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
