"""Mail that is to be sent, and the links in it

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outgoing_mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.String(640), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outgoing_mails"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_outgoing_mails_user_id_users", ondelete="CASCADE"),
        postgresql_with={"fillfactor": 85},
    )
    op.create_index("ix_outgoing_mails_user_id", "outgoing_mails", ["user_id"])
    op.create_index("ix_outgoing_mails_due_at", "outgoing_mails", ["due_at"])
    op.create_table(
        "link_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("email_canonical", sa.String(640), nullable=False),
        sa.Column("credential_epoch", sa.Integer(), nullable=False),
        sa.Column("new_email", sa.String(320), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("user_id", "purpose", name="pk_link_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_link_tokens_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("uq_link_tokens_token_hash", "link_tokens", ["token_hash"], unique=True)
    op.create_index("ix_link_tokens_expires_at", "link_tokens", ["expires_at"])


def downgrade() -> None:
    op.drop_table("link_tokens")
    op.drop_table("outgoing_mails")
