"""What usernames look like, so that nobody takes one that looks like another's

Revision ID: 0015
Revises: 0014

Names of ASCII alone may look alike (`rn` and `m`), and so may those that were there before. An index is unique about
the others: of a skeleton, one account is the first, with the nil UUID as its twin, and each other one has its own id.
The columns are filled in by the services, batch by batch, as long as there are rows whose skeleton is of another name,
or of none: an older service leaves the columns as they are.

Columns and indexes are there already if `prepare` has made them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from alembic.migration import MigrationContext
from alembic.operations import Operations

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

oldest_served = "0006"

FILLED = sa.text("username_skeleton IS NOT NULL")
IS_NAMED = "username_canonical IS NOT NULL AND "
TO_FILL = {
    "postgresql": sa.text(IS_NAMED + "username_skeleton_of IS DISTINCT FROM username_canonical"),
    "sqlite": sa.text(IS_NAMED + "username_skeleton_of IS NOT username_canonical"),
}
COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "username_skeleton": sa.String(255),
    "username_skeleton_of": sa.String(192),
    "username_twin": sa.Uuid(),
}
INDEXES: dict[str, dict[str, Any]] = {
    "uq_users_username_skeleton_username_twin": {
        "columns": ["username_skeleton", "username_twin"],
        "unique": True,
        "postgresql_where": FILLED,
        "sqlite_where": FILLED,
    },
    "ix_users_id_without_skeleton": {
        "columns": ["id"],
        "postgresql_where": TO_FILL["postgresql"],
        "sqlite_where": TO_FILL["sqlite"],
    },
}
PATIENCE = "120s"  # for transactions that began before: nobody waits for who waits for them
PRESENT = sa.text("""
    SELECT attname AS name, TRUE AS is_whole FROM pg_attribute
    WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = 'users'::regclass
""")


def prepare(connection: sa.Connection) -> None:
    """Build the indexes beside running services: of the table nothing is locked that they wait for, but for the moment
    in which it gets the columns. An index that was left half-built is built again.
    """
    there = present(connection)
    operations = Operations(MigrationContext.configure(connection))
    missing = [name for name in COLUMNS if name not in there]
    if missing:  # in one statement, and not asked for in vain, since to ask takes the lock
        added = (f"ADD COLUMN {name} {COLUMNS[name].compile(connection.dialect)}" for name in missing)
        operations.execute(f"ALTER TABLE users {', '.join(added)}")
    operations.execute(f"SET lock_timeout = '{PATIENCE}'")
    for name, index in INDEXES.items():
        if there.get(name) is False:
            operations.drop_index(name, "users", postgresql_concurrently=True)
        if not there.get(name):
            operations.create_index(name, "users", postgresql_concurrently=True, **index)


def present(connection: sa.Connection) -> dict[str, bool]:
    """Return the names of the columns and indexes of the table, and whether they are whole."""
    return {row.name: row.is_whole for row in connection.execute(PRESENT)}


def upgrade() -> None:
    is_prepared = op.get_context().dialect.name == "postgresql" and not context.is_offline_mode()
    there = present(op.get_bind()) if is_prepared else {}
    for name, kind in COLUMNS.items():
        if name not in there:
            op.add_column("users", sa.Column(name, kind, nullable=True))
    for name, index in INDEXES.items():
        if there.get(name) is False:
            op.drop_index(name, "users")
        if not there.get(name):
            op.create_index(name, "users", **index)


def downgrade() -> None:
    op.drop_index("ix_users_id_without_skeleton", "users")
    op.drop_index("uq_users_username_skeleton_username_twin", "users")
    for name in ("username_twin", "username_skeleton_of", "username_skeleton"):
        op.drop_column("users", name)
