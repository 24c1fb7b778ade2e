"""Passkeys: factors that have a public key instead of a secret

Revision ID: 0014
Revises: 0013

A service from before keeps such a factor as one that it has no question for: it asks for a recovery code, or signs
nobody in who has none. Going back removes the passkeys; whoever has no password then sets one by a mailed link.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

oldest_served = "0006"


def upgrade() -> None:
    op.add_column("factors", sa.Column("credential_id", sa.LargeBinary(), nullable=True))
    op.add_column("factors", sa.Column("public_key", sa.LargeBinary(), nullable=True))
    op.add_column("factors", sa.Column("sign_count", sa.BigInteger(), nullable=True))
    op.add_column("factors", sa.Column("backup_eligible", sa.Boolean(), nullable=True))
    op.add_column("factors", sa.Column("backed_up", sa.Boolean(), nullable=True))
    op.add_column("factors", sa.Column("transports", sa.String(128), nullable=True))
    op.add_column("factors", sa.Column("aaguid", sa.Uuid(), nullable=True))
    op.add_column("factors", sa.Column("user_handle", sa.LargeBinary(), nullable=True))
    op.create_index("uq_factors_credential_id", "factors", ["credential_id"], unique=True)


def downgrade() -> None:
    op.execute("DELETE FROM outgoing_mails WHERE kind IN ('passkey-refused', 'password-removed')")
    # An account whose last factor was a passkey has no use for its codes any more: the password alone signs in again.
    op.execute("DELETE FROM factors WHERE kind = 'passkey'")
    op.execute(
        "DELETE FROM recovery_codes WHERE user_id NOT IN (SELECT user_id FROM factors WHERE confirmed_at IS NOT NULL)"
    )
    op.drop_index("uq_factors_credential_id", "factors")
    for name in (
        "user_handle", "aaguid", "transports", "backed_up", "backup_eligible", "sign_count", "public_key",
        "credential_id",
    ):  # fmt: skip
        op.drop_column("factors", name)
