"""Second factors, recovery codes, spent challenges; and how sure the sign-in of a session was

Revision ID: 0011
Revises: 0010

A service from before serves on, but cannot walk round a second factor: a trigger refuses the session that a password
alone would open.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

oldest_served = "0006"

TIME = sa.DateTime(timezone=True)

# Told as a server that is busy: a service from before then asks its client to try again, and counts no wrong password.
POSTGRESQL = (
    """
    CREATE FUNCTION refuse_session_without_factor() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM factors WHERE user_id = NEW.user_id AND confirmed_at IS NOT NULL) THEN
            RAISE EXCEPTION 'refresh_tokens takes no session of this user without a second factor'
                USING ERRCODE = 'cannot_connect_now';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION refuse_session_without_factor SET search_path = %I, pg_temp', current_schema());
    END $$
    """,
    """
    CREATE TRIGGER refresh_tokens_have_factor BEFORE INSERT ON refresh_tokens FOR EACH ROW
    WHEN (NEW.acr IS NULL OR NEW.acr = 'aal1') EXECUTE FUNCTION refuse_session_without_factor()
    """,
)
SQLITE = """
    CREATE TRIGGER refresh_tokens_have_factor BEFORE INSERT ON refresh_tokens
    WHEN (NEW.acr IS NULL OR NEW.acr = 'aal1')
        AND EXISTS (SELECT 1 FROM factors WHERE user_id = NEW.user_id AND confirmed_at IS NOT NULL)
    BEGIN SELECT RAISE(IGNORE); END
    """


def upgrade() -> None:
    # Users before all else, as in the service: nobody waits in a circle.
    op.add_column("users", sa.Column("email_assigned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "factors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("secret_id", sa.String(16), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_factors_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_factors_user_id", "factors", ["user_id"])
    unconfirmed = sa.text("confirmed_at IS NULL")
    op.create_index(
        "ix_factors_created_at", "factors", ["created_at"], postgresql_where=unconfirmed, sqlite_where=unconfirmed
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name="pk_recovery_codes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id_users", ondelete="CASCADE"),
    )
    op.create_table(
        "spent_challenges",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_spent_challenges"),
    )
    op.create_index("ix_spent_challenges_expires_at", "spent_challenges", ["expires_at"])
    op.add_column("refresh_tokens", sa.Column("authenticated_at", TIME, nullable=True))
    op.add_column("refresh_tokens", sa.Column("acr", sa.String(16), nullable=True))
    op.add_column("refresh_tokens", sa.Column("amr", sa.String(64), nullable=True))
    for statement in POSTGRESQL if op.get_context().dialect.name == "postgresql" else (SQLITE,):
        op.execute(statement)


def downgrade() -> None:
    op.drop_column("users", "email_assigned")
    is_postgresql = op.get_context().dialect.name == "postgresql"
    op.execute("DROP TRIGGER refresh_tokens_have_factor" + (" ON refresh_tokens" if is_postgresql else ""))
    if is_postgresql:
        op.execute("DROP FUNCTION refuse_session_without_factor()")
    # The services of before know neither these mails nor this change, and would try forever.
    op.execute(
        "DELETE FROM outgoing_mails WHERE kind IN ('factor-added', 'factor-removed', 'recovery-codes-renewed', "
        "'recovery-code-used', 'second-factor-guessed', 'step-up-guessed', 'factors-reset-planned', 'factors-reset')"
    )
    op.execute("DELETE FROM pending_changes WHERE kind = 'factors'")
    for name in ("amr", "acr", "authenticated_at"):
        op.drop_column("refresh_tokens", name)
    op.drop_table("spent_challenges")
    op.drop_table("recovery_codes")
    op.drop_table("factors")
