"""The trail of security events

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# No row is ever written again. PostgreSQL drops whole months, by the one function that may; SQLite deletes rows.
# In both nothing younger than thirty days can go, whoever asks.
SQLITE = (
    """
    CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
    BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END
    """,
    """
    CREATE TRIGGER audit_events_remain BEFORE DELETE ON audit_events
    WHEN OLD.at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-30 days')
    BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END
    """,
)
POSTGRESQL = (
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    # For each row, because only such triggers reach the partitions, those of the future too.
    """
    CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW
    EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_events_remain BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_audit_change()
    """,
    # Attached, and not created in place: that would stop everybody who writes.
    """
    CREATE FUNCTION attach_audit_partition(partition text, bounds text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF to_regclass(format('%I.%I', current_schema(), partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE audit_events INCLUDING ALL)', partition);
            EXECUTE format('CREATE TRIGGER audit_events_remain BEFORE TRUNCATE ON %I FOR EACH STATEMENT '
                           'EXECUTE FUNCTION refuse_audit_change()', partition);
        END IF;
        EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION %I %s', partition, bounds);
    END $$
    """,
    """
    CREATE FUNCTION audit_partitions() RETURNS TABLE (name text, starts timestamptz, ends timestamptz)
    LANGUAGE sql STABLE AS $$
        SELECT relname::text, bounds[1]::timestamptz, bounds[2]::timestamptz
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid,
             regexp_match(pg_get_expr(relpartbound, pg_class.oid), '''(.+)''.+''(.+)''') AS bounds
        WHERE inhparent = 'audit_events'::regclass AND bounds IS NOT NULL
    $$
    """,
    # What fell into the default partition, because nobody made its months in time, becomes a partition as it is.
    """
    CREATE FUNCTION adopt_audit_default() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        first timestamptz; last timestamptz; partition text;
    BEGIN
        SELECT date_trunc('month', min(at), 'UTC'),
               (date_trunc('month', max(at) AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
        INTO first, last FROM audit_events_default;
        IF first IS NULL OR EXISTS (SELECT FROM audit_partitions() WHERE starts < last AND ends > first) THEN
            RETURN;
        END IF;
        partition := 'audit_events_' || to_char(first AT TIME ZONE 'UTC', 'YYYYMM') || '_to_'
                     || to_char(last AT TIME ZONE 'UTC', 'YYYYMM');
        ALTER TABLE audit_events DETACH PARTITION audit_events_default;
        EXECUTE format('ALTER TABLE audit_events_default RENAME TO %I', partition);
        PERFORM attach_audit_partition(partition, format('FOR VALUES FROM (%L) TO (%L)', first, last));
        PERFORM attach_audit_partition('audit_events_default', 'DEFAULT');
    END $$
    """,
    # The owner's rights for whoever may call it, and for nothing else.
    """
    CREATE FUNCTION keep_audit_months(ahead integer, retention interval, OUT made integer, OUT dropped integer)
    LANGUAGE plpgsql STRICT SECURITY DEFINER SET lock_timeout = '500ms' AS $$
    DECLARE
        month timestamp; first timestamptz; last timestamptz; old text;
    BEGIN
        made := 0;
        dropped := 0;
        PERFORM adopt_audit_default();
        FOR step IN 0 .. least(ahead, 12) LOOP
            month := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(months => step);
            first := month AT TIME ZONE 'UTC';
            last := (month + interval '1 month') AT TIME ZONE 'UTC';
            IF EXISTS (SELECT FROM audit_partitions() WHERE starts < last AND ends > first)
               OR EXISTS (SELECT FROM audit_events_default WHERE at >= first AND at < last) THEN
                CONTINUE;
            END IF;
            PERFORM attach_audit_partition('audit_events_' || to_char(month, 'YYYYMM'),
                                           format('FOR VALUES FROM (%L) TO (%L)', first, last));
            made := made + 1;
        END LOOP;
        FOR old IN SELECT name FROM audit_partitions()
                   WHERE ends <= clock_timestamp() - greatest(retention, interval '30 days') LOOP
            EXECUTE format('DROP TABLE %I', old);
            dropped := dropped + 1;
        END LOOP;
    END $$
    """,
    """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION keep_audit_months SET search_path = %I, pg_temp', current_schema());
    END $$
    """,
    "REVOKE EXECUTE ON FUNCTION keep_audit_months, adopt_audit_default, attach_audit_partition FROM PUBLIC",
    "SELECT attach_audit_partition('audit_events_default', 'DEFAULT')",
    "SELECT keep_audit_months(3, interval '400 days')",
)


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "audit_events",
        sa.Column("at", time, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(256), nullable=True),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("at", "id", name="pk_audit_events"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_audit_events_user_id_at", "audit_events", ["user_id", "at"])
    for statement in POSTGRESQL if op.get_context().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit_events")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION keep_audit_months, adopt_audit_default, attach_audit_partition, audit_partitions")
        op.execute("DROP FUNCTION refuse_audit_change()")
