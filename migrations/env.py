"""Alembic's environment: on the connection that `auth-service migrate` hands over, or on one of its own."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection

from auth_service.database import migrator
from auth_service.models import SCHEMA_COMPATIBILITY, USERS
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings

LAST_WITHOUT = "0005"  # the last migration that does not say which services its schema serves


def configure(**where: Any) -> None:
    context.configure(
        target_metadata=USERS.metadata,
        compare_type=True,
        compare_server_default=True,
        render_as_batch=False,
        include_name=is_ours,
        on_version_apply=(remember, declare),  # type: ignore[arg-type]  # called with keywords, as its docstring says
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


def declare(*, ctx: Any, step: Any, **_context: Any) -> None:
    """Write the oldest service that the schema serves now, up or down: what the migration that it came to says.

    Every migration after 0005 has its line for that, `oldest_served`.
    """
    if step.is_stamp or not step.destination_revision_ids:
        return
    (revision,) = step.destination_revision_ids
    migration = context.script.get_revision(revision).module
    if revision > LAST_WITHOUT:
        ctx.impl.execute(SCHEMA_COMPATIBILITY.update().values(oldest_served=migration.oldest_served))


def run_on(connection: Connection) -> None:
    configure(connection=connection)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            migrator.take_turn(connection)
        context.run_migrations()


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
