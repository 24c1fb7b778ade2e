"""Leases of jobs, so that one clean-up is at work, and rests between its batches without holding a connection

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

oldest_served = "0006"


def upgrade() -> None:
    op.create_table(
        "job_leases",
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_job_leases"),
    )


def downgrade() -> None:
    op.drop_table("job_leases")
