"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# The oldest revision whose service works on this schema, reading and writing: with what was only added, that of the
# migration before, or what that one says. tests/deploy/test_upgrade.py has the service before it work on this schema.
# Then: the revision in auth_service/database/schema.py, grants in deploy/sql/grants.sql, a line in docs/upgrading.md, and
# `python -m tests.support.migration_effects`.
oldest_served = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
