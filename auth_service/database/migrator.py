"""Runs the packaged migrations, one migrator at a time. Who imports this imports Alembic."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from auth_service.database import schema
from auth_service.database.errors.translation import domain_errors
from auth_service.errors import MissingPrivileges, SchemaNotReady

BUDGET = timedelta(minutes=6)  # a minute of waiting for another migrator, and five of work
PREPARING = timedelta(days=1)  # beside running services, which it does not hold up, however large the table is
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


def preparations(connection: Connection, target: str = schema.HEAD) -> list[Callable[[Connection], None]]:
    """Return what the migrations up to the target can have done before: the `prepare` of each that has one.

    That is what takes long on a large table of PostgreSQL and would be locked for so long. Services go on beside it,
    it can be repeated if it was interrupted, and it harms nothing if the migration never follows. What is not prepared
    the migration does by itself.
    """
    revision = revision_of(connection)
    if connection.dialect.name != "postgresql" or revision not in schema.REVISIONS or revision >= target:
        return []
    scripts = ScriptDirectory.from_config(config())
    pending = schema.REVISIONS[schema.REVISIONS.index(revision) + 1 : schema.REVISIONS.index(target) + 1]
    modules = [scripts.get_revision(one).module for one in pending]
    return [module.prepare for module in modules if hasattr(module, "prepare")]


def try_turn(connection: Connection) -> bool:
    """Be the one migrator at work until the end of this transaction, or return False, since another one is."""
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK}))


def hold_turn(connection: Connection) -> None:
    """Let the transaction be idle from now on, and keep no snapshot, as a SELECT does until the next statement.

    An index that is built beside services waits for every transaction that has one, so nobody may wait for a turn in a
    transaction either.
    """
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def prepare(connection: Connection, steps: Iterable[Callable[[Connection], None]]) -> None:
    """Run preparations on a connection that commits each statement by itself, and that nobody uses after it.

    Raises:
        NotTheOwner: it is not for the connection's role to change the schema.
    """
    connection.execute(text(f"SET lock_timeout = '{WAIT_FOR_TABLES}'"))
    connection.execute(text("SET statement_timeout = 0"))  # or an index that takes longer would be begun again for ever
    try:
        with domain_errors():
            for step in steps:
                step(connection)
    except MissingPrivileges as error:
        raise NotTheOwner from error.__cause__


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
