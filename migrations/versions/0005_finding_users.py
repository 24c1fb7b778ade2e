"""Indexes for lists and searches of users

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
import structlog
from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

log = structlog.get_logger()

# What finds a fragment of a name without reading every row. An extension, so not every server has it and not every role
# may make it; without it searches work, and are slow. deploy/sql/search.sql makes the same beside a running service.
TRIGRAMS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX ix_users_email_trigrams ON users USING gin (email_canonical gin_trgm_ops);
        CREATE INDEX ix_users_username_trigrams ON users USING gin (username_canonical gin_trgm_ops);
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    NULL; -- not ours to make, or made in a schema that we do not look into
END $$
"""


def upgrade() -> None:
    op.create_index(
        "ix_users_created_at_id",
        "users",
        ["created_at", "id"],
        postgresql_include=["is_active", "is_verified", "role"],
    )
    op.create_index(
        "ix_users_role_created_at_id",
        "users",
        ["role", "created_at", "id"],
        postgresql_where=sa.text("role <> 'user'"),
        sqlite_where=sa.text("role <> 'user'"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(TRIGRAMS)
        tell_if_missing()


def tell_if_missing() -> None:
    if context.is_offline_mode():
        return
    found = op.get_bind().execute(sa.text("SELECT to_regclass('ix_users_email_trigrams')")).scalar_one()
    if found is None:
        log.warning("search.not_indexed", hint="without pg_trgm a search reads every user; see deploy/sql/search.sql")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP INDEX IF EXISTS ix_users_email_trigrams, ix_users_username_trigrams")
    op.drop_index("ix_users_role_created_at_id", "users")
    op.drop_index("ix_users_created_at_id", "users")
