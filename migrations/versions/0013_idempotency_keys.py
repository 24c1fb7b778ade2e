"""The Idempotency-Keys that came before, so that one that comes again is not good again

Revision ID: 0013
Revises: 0012

Of each of the last eight, the first eight bytes of its hash. An older service leaves the column as it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

oldest_served = "0006"


def upgrade() -> None:
    op.add_column("refresh_tokens", sa.Column("idempotency_seen", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("refresh_tokens", "idempotency_seen")
