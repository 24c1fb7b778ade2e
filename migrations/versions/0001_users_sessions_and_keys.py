"""Users, their sessions, and the keys that sign

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_canonical", sa.String(640), nullable=False),
        sa.Column("username", sa.String(64), nullable=True),
        sa.Column("username_canonical", sa.String(192), nullable=True),
        sa.Column("hashed_password", sa.String(512), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("credential_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("last_login_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("uq_users_email_canonical", "users", ["email_canonical"], unique=True)
    op.create_index("uq_users_username_canonical", "users", ["username_canonical"], unique=True)

    times = postgresql.ARRAY(TIME).with_variant(sa.JSON(), "sqlite")
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("credential_epoch", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("rotations", times, nullable=False),
        sa.Column("idempotency_hash", sa.LargeBinary(32), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("revoked_reason", sa.String(32), nullable=True),
        sa.Column("user_agent", sa.String(256), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_tokens_user_id_users", ondelete="CASCADE"),
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("uq_refresh_tokens_secret_hash", "refresh_tokens", ["secret_hash"], unique=True)
    op.create_index("ix_refresh_tokens_user_id_expires_at", "refresh_tokens", ["user_id", "expires_at"])
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    revoked = sa.text("revoked_at IS NOT NULL")
    op.create_index(
        "ix_refresh_tokens_revoked_at", "refresh_tokens", ["revoked_at"], postgresql_where=revoked, sqlite_where=revoked
    )

    op.create_table(
        "deleted_sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_deleted_sessions"),
    )
    op.create_index("ix_deleted_sessions_deleted_at", "deleted_sessions", ["deleted_at"])
    create_triggers(op.get_context().dialect.name)

    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("secret_id", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("activated_at", TIME, nullable=True),
        sa.Column("retired_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    active = sa.text("state = 'active'")
    op.create_index(
        "uq_signing_keys_one_active",
        "signing_keys",
        ["state"],
        unique=True,
        postgresql_where=active,
        sqlite_where=active,
    )


# A row that is deleted, by a cascade too, leaves its id behind for as long as one of its access tokens can be valid:
# ten minutes of life, one of leeway, and some room. What expired long ago, as the clean-up deletes it, leaves nothing.
SQLITE_ON_DELETE = """
CREATE TRIGGER remember_deleted_session AFTER DELETE ON refresh_tokens
WHEN OLD.expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-15 minutes')
BEGIN
    INSERT OR REPLACE INTO deleted_sessions VALUES (OLD.id, strftime('%Y-%m-%d %H:%M:%f000', 'now'));
END
"""
POSTGRESQL = (
    """
    CREATE FUNCTION remember_deleted_session() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO deleted_sessions VALUES (OLD.id, clock_timestamp()) ON CONFLICT DO NOTHING;
        PERFORM pg_notify('auth_session_ended', OLD.id::text);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER remember_deleted_session AFTER DELETE ON refresh_tokens FOR EACH ROW
    WHEN (OLD.expires_at > now() - interval '15 minutes') EXECUTE FUNCTION remember_deleted_session()
    """,
    """
    CREATE FUNCTION tell_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('auth_session_ended', NEW.id::text);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tell_session_ended AFTER UPDATE OF revoked_at ON refresh_tokens FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION tell_session_ended()
    """,
)


def create_triggers(dialect: str) -> None:
    for statement in POSTGRESQL if dialect == "postgresql" else (SQLITE_ON_DELETE,):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("signing_keys")
    op.drop_table("deleted_sessions")
    op.drop_table("refresh_tokens")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION tell_session_ended()")
        op.execute("DROP FUNCTION remember_deleted_session()")
    op.drop_table("users")
