"""Columns that no service writes again: whose a session, a link, a mail or a planned change is, and which key it is

Revision ID: 0012
Revises: 0011

Who speaks SQL as the service could else hand a session or a link of their own to another user. The right to update the
other columns alone would do the same, and would shut out the services of before: they are ready only with the right to
update the whole table. SQLite has no roles: whoever writes to its file may do everything to it.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

oldest_served = "0006"

FIXED = {  # in the order in which the service writes to them, so that nobody waits in a circle
    "link_tokens": ("user_id", "purpose"),
    "pending_changes": ("user_id", "kind"),
    "refresh_tokens": (
        "id", "user_id", "credential_epoch", "secret_hash", "created_at", "authenticated_at", "acr", "amr",
    ),
    "outgoing_mails": ("id", "kind", "user_id", "recipient"),
    "signing_keys": ("kid", "algorithm", "public_jwk"),
}  # fmt: skip
# As with every right, the owner has it.
FUNCTION = """
    CREATE FUNCTION refuse_fixed_columns() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
            RAISE EXCEPTION '% has columns that only its owner may update', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
        for table, columns in FIXED.items():  # for each statement: a refresh, which names none of them, pays nothing
            op.execute(
                f"CREATE TRIGGER {table}_stay_whose_they_are BEFORE UPDATE OF {', '.join(columns)} ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_fixed_columns()"
            )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in FIXED:
            op.execute(f"DROP TRIGGER {table}_stay_whose_they_are ON {table}")
        op.execute("DROP FUNCTION refuse_fixed_columns()")
