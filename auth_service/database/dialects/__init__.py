"""What statements and engines need that differs between databases, in one file for each of them."""

from functools import cache

from auth_service.database.dialects.dialect import ROOM, Clock, Dialect
from auth_service.settings import DatabaseSettings

__all__ = ["ROOM", "Clock", "Dialect", "dialect_named", "dialect_of"]


def dialect_of(settings: DatabaseSettings) -> Dialect:
    """Return the dialect of the configured database."""
    return dialect_named("postgresql" if settings.is_postgresql else "sqlite")


@cache
def dialect_named(name: str) -> Dialect:
    """Return the dialect that SQLAlchemy calls by this name. Beside PostgreSQL nothing of SQLite is imported."""
    if name == "postgresql":
        from auth_service.database.dialects.postgresql import PostgreSQL  # noqa: PLC0415

        return PostgreSQL()
    from auth_service.database.dialects.sqlite import SQLite  # noqa: PLC0415

    return SQLite()
