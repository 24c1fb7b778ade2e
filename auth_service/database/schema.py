"""Whether the schema of a database is one that this code works on. Needs nothing of Alembic, as a process that serves.

The code works on the schema of the newest migration that it knows. It cannot know newer ones; so each writes, into a
table of one row, the oldest revision whose service still works on what it makes.
"""

from enum import StrEnum

from sqlalchemy import Connection, Executable, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.database.errors import NoUsableSchema
from auth_service.database.errors.translation import domain_errors
from auth_service.errors import MissingPrivileges, SchemaNotReady
from auth_service.models import SCHEMA_COMPATIBILITY

REVISIONS = (  # of the migrations, oldest first
    "0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010",
    "0011", "0012", "0013", "0014", "0015", "0016",
)  # fmt: skip
HEAD = REVISIONS[-1]

NONE = "The database has no schema of this service yet"
OLDER = "The database schema is older than this version of the service"
MIGRATE = {
    "postgresql": (
        "run 'auth-service migrate --grant-to ROLE' as the owner of the tables, for the ROLE that serves; with "
        "--grant-cleanup-to ROLE for one that only cleans up."
    ),
    "sqlite": "run 'auth-service migrate'.",
}
NOT_OURS = "The database has the schema of another application: give the service a database of its own."
TOO_NEW = "The database schema is too new for this version of the service: run a newer version, or migrate back."

_VERSION = text("SELECT version_num FROM alembic_version")
_OLDEST_SERVED = select(SCHEMA_COMPATIBILITY.c.oldest_served)
# PostgreSQL leaves a schema that the role may not use out of its search, and says that there is no such table.
_MAY_NOT_LOOK = text("""
WITH searched AS (
    SELECT has_schema_privilege(oid, 'USAGE') AS usable,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = 'alembic_version') AS ours
    FROM pg_namespace
    WHERE nspname = ANY (regexp_split_to_array(
        replace(replace(current_setting('search_path'), '"', ''), '$user', current_user), '\\s*,\\s*'))
)
SELECT to_regclass('alembic_version') IS NULL AND (bool_or(ours AND NOT usable) OR NOT bool_or(usable)) FROM searched
""")


class MigrationNeeded(SchemaNotReady):
    """There is no schema of ours yet, or an older one: `migrate` is all that it needs."""


class SchemaState(StrEnum):
    """Of a schema that the code works on."""

    AT_HEAD = "at head"
    NEWER = "newer, compatible"


def check(connection: Connection) -> SchemaState:
    """Return how the schema stands to this code, if the code works on it.

    Raises:
        MigrationNeeded: there is none, or it is older.
        SchemaNotReady: it is newer and no longer serves this code, or none of ours; the detail says which.
        MissingPrivileges: the role may not read what tells.
        DatabaseUnavailable: the database does not answer.
    """
    migrate = MIGRATE[connection.dialect.name]
    none = MigrationNeeded(f"{NONE}: {migrate}")
    revision = _read(connection, _VERSION, none)
    if revision == HEAD:
        return SchemaState.AT_HEAD
    if revision is None:
        raise none
    if revision in REVISIONS:
        raise MigrationNeeded(f"{OLDER}: {migrate}")
    if oldest_served(connection) not in REVISIONS:
        raise SchemaNotReady(TOO_NEW)
    return SchemaState.NEWER


async def explained(connection: AsyncConnection, error: BaseException) -> BaseException:
    """Return what is to be raised for an error on this connection: itself, or that the role may not look for the tables
    which it did not find. The open transaction is rolled back in that case.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    is_of_schema = isinstance(error, SchemaNotReady) and not isinstance(error, (MissingPrivileges, NoUsableSchema))
    if not is_of_schema or connection.dialect.name != "postgresql":
        return error
    with domain_errors():
        await connection.rollback()
        return NoUsableSchema() if await connection.scalar(_MAY_NOT_LOOK) else error


def oldest_served(connection: Connection) -> str | None:
    """Return what a newer schema declares; raises as `check` does. Each of ours since 0006 has the table."""
    return _read(connection, _OLDEST_SERVED, SchemaNotReady(NOT_OURS))


def _read(connection: Connection, question: Executable, without_table: SchemaNotReady) -> str | None:
    try:
        with domain_errors():
            answer: str | None = connection.scalar(question)
    except MissingPrivileges:
        raise
    except SchemaNotReady as error:
        raise without_table from error
    return answer
