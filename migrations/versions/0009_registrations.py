"""Registrations that nobody has come back to, so that the clean-up finds them

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

oldest_served = "0006"

# The owner's rights for whoever may call it, and for nothing else: no role needs to delete users for the clean-up.
# First the accounts are locked, which a sign-in or a link waits for; what the next statement sees of them is then so.
# The id of an event is a UUID of version 7.
POSTGRESQL = (
    """
    CREATE FUNCTION expire_registrations(lifetime interval, at_most integer, OUT seen integer, OUT expired integer)
    LANGUAGE plpgsql STRICT SECURITY DEFINER AS $$
    DECLARE
        due uuid[];
    BEGIN
        due := ARRAY(
            SELECT users.id FROM registrations JOIN users ON users.id = user_id
            WHERE registered_at <= statement_timestamp() - greatest(lifetime, interval '1 day')
            ORDER BY registered_at LIMIT at_most FOR UPDATE OF users SKIP LOCKED
        );
        seen := cardinality(due);
        WITH gone AS (
            DELETE FROM users
            WHERE id = ANY(due) AND NOT is_verified AND last_login_at IS NULL AND is_active AND role = 'user'
                AND NOT EXISTS (SELECT FROM refresh_tokens WHERE refresh_tokens.user_id = users.id)
            RETURNING id
        ), recorded AS (
            INSERT INTO audit_events (id, at, event, user_id, details)
            SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing substring(int8send(
                       floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
                       52, 1), 53, 1), 'hex')::uuid,
                   clock_timestamp(), 'account.expired', id, '{}'::json
            FROM gone
        )
        SELECT count(*) INTO expired FROM gone;
        DELETE FROM registrations WHERE user_id = ANY(due);
    END $$
    """,
    """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION expire_registrations SET search_path = %I, pg_temp', current_schema());
    END $$
    """,
    "REVOKE EXECUTE ON FUNCTION expire_registrations FROM PUBLIC",
)


def upgrade() -> None:
    op.create_table(
        "registrations",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_registrations"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_registrations_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_registrations_registered_at", "registrations", ["registered_at"])
    if op.get_context().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION expire_registrations")
    op.drop_table("registrations")
