"""Changes that administrators ask for, which take effect after a delay

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

oldest_served = "0006"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "pending_changes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("new_email", sa.String(320), nullable=True),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("effective_at", TIME, nullable=False),
        sa.Column("stop_hash", sa.LargeBinary(32), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "kind", name="pk_pending_changes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_pending_changes_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_pending_changes_effective_at", "pending_changes", ["effective_at"])
    op.create_index("uq_pending_changes_stop_hash", "pending_changes", ["stop_hash"], unique=True)


def downgrade() -> None:
    # The services of before cannot write these mails, and would try forever.
    op.execute(
        "DELETE FROM outgoing_mails "
        "WHERE kind IN ('email-change-planned', 'email-change-announced', 'email-change-failed')"
    )
    op.drop_table("pending_changes")
