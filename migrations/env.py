"""Alembic's environment: on the connection that `auth-service migrate` hands over, or on one of its own."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from auth_service.database import migrator
from auth_service.models import USERS
from auth_service.repositories.transaction import Database
from auth_service.settings import DatabaseSettings

ADVISORY_LOCK = 4_711_001  # any number will do, as long as it is ours alone
WAIT_FOR_MIGRATOR = "60s"
WAIT_FOR_TABLES = "2s"  # the old code is still serving: rather fail and try again than queue everyone behind us
STATEMENT = "300s"


def configure(**where: Any) -> None:
    context.configure(
        target_metadata=USERS.metadata,
        compare_type=True,
        compare_server_default=True,
        render_as_batch=False,
        include_name=is_ours,
        on_version_apply=remember,  # type: ignore[arg-type]  # called with keywords, as its docstring says
        **where,
    )


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Leave the partitions of the trail to the clean-up, and the indexes of pg_trgm to those who have it."""
    name = name or ""
    return not (
        (kind == "table" and name.startswith("audit_events_"))
        or (kind == "index" and name.startswith("ix_users_") and name.endswith("_trigrams"))
    )


def remember(*, step: Any, **_context: Any) -> None:
    """Tell whoever asked which revisions were applied."""
    context.config.attributes.setdefault("applied", []).append(step.up_revision_id)


def run_on(connection: Connection) -> None:
    configure(connection=connection)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            take_turn(connection)
        context.run_migrations()


def take_turn(connection: Connection) -> None:
    """Let one migrator work at a time. The lock belongs to the transaction, so that it also holds through a pooler."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_MIGRATOR}'"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_TABLES}'"))


async def run_alone() -> None:
    database = Database(DatabaseSettings())
    await database.run_sync(run_on, migrator.BUDGET)
    await database.dispose()


def run_offline() -> None:
    dialect = "postgresql" if DatabaseSettings().is_postgresql else "sqlite"
    configure(dialect_name=dialect, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
elif "connection" in context.config.attributes:
    run_on(context.config.attributes["connection"])
else:
    asyncio.run(run_alone())
