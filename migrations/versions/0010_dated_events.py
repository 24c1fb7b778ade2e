"""Events that the database itself dates, so that whoever may insert them cannot choose their time

Revision ID: 0010
Revises: 0009

The right to insert into a column would do the same, and would shut out the services of before, which name the time.
SQLite has no roles: whoever writes to its file may do everything to it.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

oldest_served = "0006"

# The partition has been found by the time that the statement gave, and a trigger cannot move a row to another one. So
# what was asked for in one month and arrives in the next keeps its time.
FUNCTION = """
    CREATE FUNCTION date_audit_event() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    DECLARE
        moment timestamptz := clock_timestamp();
    BEGIN
        IF date_trunc('month', NEW.at, 'UTC') = date_trunc('month', moment, 'UTC') THEN
            NEW.at := moment;
        ELSIF NEW.at NOT BETWEEN statement_timestamp() AND moment THEN
            RAISE EXCEPTION 'audit_events takes no event of another time' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
        op.execute(
            "CREATE TRIGGER audit_events_are_dated BEFORE INSERT ON audit_events FOR EACH ROW "
            "EXECUTE FUNCTION date_audit_event()"
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_events_are_dated ON audit_events")
        op.execute("DROP FUNCTION date_audit_event()")
