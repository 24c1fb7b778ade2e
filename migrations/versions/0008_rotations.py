"""Where a session was rotated from, kept apart from where it was opened

Revision ID: 0008
Revises: 0007

All of it may be missing: in rows from before, and in what an older service writes. `rotated_to` tells which rotation
the next three columns are of, so that what an older service rotated later is not taken for one from there.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

oldest_served = "0006"

COLUMNS: dict[str, Any] = {
    "rotated_to": sa.BigInteger(),
    "rotated_user_agent": sa.String(256),
    "rotated_ip": sa.String(45),
    "idempotency_spent": sa.Boolean(),
    "earlier_used_at": sa.DateTime(timezone=True),
    "told_generation": sa.BigInteger(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("refresh_tokens", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("refresh_tokens", name)
