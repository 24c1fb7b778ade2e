"""What usernames look like, so that nobody takes one that looks like another's

Revision ID: 0015
Revises: 0014

Names of ASCII alone may look alike (`rn` and `m`), and so may those that were there before. An index is unique about
the others: of a skeleton, one account is the first, with the nil UUID as its twin, and each other one has its own id.
The columns are filled in by the services, batch by batch, as long as there are rows whose skeleton is of another name,
or of none: an older service leaves the columns as they are.
"""

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    op.add_column("users", sa.Column("username_skeleton", sa.String(255), nullable=True))
    op.add_column("users", sa.Column("username_skeleton_of", sa.String(192), nullable=True))
    op.add_column("users", sa.Column("username_twin", sa.Uuid(), nullable=True))
    # Both are of nothing yet but the names to fill: built by one look at the table, without a sort of it.
    op.create_index(
        "uq_users_username_skeleton_username_twin",
        "users",
        ["username_skeleton", "username_twin"],
        unique=True,
        postgresql_where=FILLED,
        sqlite_where=FILLED,
    )
    op.create_index(
        "ix_users_id_without_skeleton",
        "users",
        ["id"],
        postgresql_where=TO_FILL["postgresql"],
        sqlite_where=TO_FILL["sqlite"],
    )


def downgrade() -> None:
    op.drop_index("ix_users_id_without_skeleton", "users")
    op.drop_index("uq_users_username_skeleton_username_twin", "users")
    for name in ("username_twin", "username_skeleton_of", "username_skeleton"):
        op.drop_column("users", name)
