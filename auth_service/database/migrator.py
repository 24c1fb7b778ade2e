"""Runs the packaged migrations, one migrator at a time. Who imports this imports Alembic."""

from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from auth_service.errors import SchemaNotReady

BUDGET = timedelta(minutes=6)  # a minute of waiting for another migrator, and five of work
ADVISORY_LOCK = 4_711_001  # any number will do, as long as it is ours alone
WAIT_FOR_MIGRATOR = "60s"
WAIT_FOR_TABLES = "2s"  # the old code is still serving: rather fail and try again than queue everyone behind us
STATEMENT = "300s"

PACKAGE = Path(__file__).parent.parent
# In a checkout the folder stands beside the package, in a wheel inside it.
FOLDER = next(path for path in (PACKAGE / "migrations", PACKAGE.parent / "migrations") if path.is_dir())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config


def upgrade(connection: Connection) -> list[str]:
    """Bring the schema to head, on a connection with a transaction; return the revisions that were applied.

    Waits for another migrator, up to a minute, and then finds that nothing is left to do.

    Raises:
        SchemaNotReady: the schema is at a revision that this version of the code does not know.
    """
    applied: list[str] = []
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["applied"] = applied
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaNotReady("The database schema is newer than this service: upgrade the service.") from error
    return applied


def take_turn(connection: Connection) -> None:
    """Let one migrator work at a time. The lock belongs to the transaction, so that it also holds through a pooler."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_MIGRATOR}'"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_TABLES}'"))
