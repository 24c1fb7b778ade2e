"""The oldest service that the schema serves

Revision ID: 0006
Revises: 0005

Services of 0005 and before want the schema to be exactly theirs, so this one does not serve them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

oldest_served = "0006"


def upgrade() -> None:
    table = op.create_table(
        "schema_compatibility",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("oldest_served", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schema_compatibility"),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_compatibility_one_row")),
    )
    op.bulk_insert(table, [{"id": 1, "oldest_served": oldest_served}])


def downgrade() -> None:
    op.drop_table("schema_compatibility")
