"""Runs the packaged migrations, one migrator at a time. Who imports this imports Alembic."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, text

from auth_service.database import schema
from auth_service.database.errors import domain_errors
from auth_service.errors import MissingPrivileges, SchemaNotReady

BUDGET = timedelta(minutes=6)  # a minute of waiting for another migrator, and five of work
ADVISORY_LOCK = 4_711_001  # any number will do, as long as it is ours alone
WAIT_FOR_MIGRATOR = "60s"
WAIT_FOR_TABLES = "2s"  # the old code is still serving: rather fail and try again than queue everyone behind us
STATEMENT = "300s"

CHANGED = "The schema is no longer the one of the plan: another migrator was faster. Nothing was done; look again."

PACKAGE = Path(__file__).parent.parent
# In a checkout the folder stands beside the package, in a wheel inside it.
FOLDER = next(path for path in (PACKAGE / "migrations", PACKAGE.parent / "migrations") if path.is_dir())


class NotTheOwner(SchemaNotReady):
    detail = (
        "This role may not change the schema: use the DATABASE_URL of the role that owns the tables, as auth_owner."
    )


def config() -> Config:
    """Return Alembic's configuration for the packaged migrations."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    return made


def upgrade(connection: Connection) -> list[str]:
    """Bring the schema to head, on a connection with a transaction; return the revisions that were applied.

    Waits for another migrator, up to a minute, and then finds that nothing is left to do. A newer schema that still
    serves this code stays as it is, and so does one at head, for which the migrations need not be read.

    Raises:
        SchemaNotReady: the schema is newer, and declares this version of the code too old.
        NotTheOwner: there is something to do, and it is not for the connection's role to do.
    """
    if revision_of(connection) == schema.HEAD:
        return []
    try:
        return _run(command.upgrade, connection, "head")
    except CommandError:  # it is at a revision that this code does not know
        if schema.check(connection) is not schema.SchemaState.NEWER:
            raise
    return []


def move(connection: Connection, revision: str | None, target: str) -> list[str]:
    """Bring the schema from the one revision to the other, up or down; return the migrations that were made or undone.

    Raises:
        SchemaNotReady: it is no longer at the first one.
        NotTheOwner: it is not for the connection's role to change.
    """
    if connection.dialect.name == "postgresql":
        take_turn(connection)
    if revision_of(connection) != revision:
        raise SchemaNotReady(CHANGED)
    goes_up = revision is None or (target != "base" and revision < target)
    return _run(command.upgrade if goes_up else command.downgrade, connection, target)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the schema, known or not; None without any."""
    return MigrationContext.configure(connection).get_current_revision()


def _run(word: Callable[[Config, str], None], connection: Connection, target: str) -> list[str]:
    done: list[str] = []
    made = config()
    made.attributes["connection"] = connection
    made.attributes["applied"] = done
    try:
        with domain_errors():
            word(made, target)
    except MissingPrivileges as error:
        raise NotTheOwner from error.__cause__
    return done


def take_turn(connection: Connection) -> None:
    """Let one migrator work at a time. The lock belongs to the transaction, so that it also holds through a pooler."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_MIGRATOR}'"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_TABLES}'"))
