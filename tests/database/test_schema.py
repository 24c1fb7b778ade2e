"""The schema on PostgreSQL, as the server's catalogue has it."""

from typing import Any
from uuid import UUID

import pytest

from tests.support.client import Client
from tests.support.polling import eventually
from tests.support.sql import run_sql

INDEXES = {
    "uq_users_username_skeleton_username_twin",
    "ix_users_id_without_skeleton",
    "pk_users",
    "uq_users_email_canonical",
    "uq_users_username_canonical",
    "ix_users_created_at_id",
    "ix_users_role_created_at_id",
    "pk_refresh_tokens",
    "uq_refresh_tokens_secret_hash",
    "ix_refresh_tokens_user_id_expires_at",
    "ix_refresh_tokens_expires_at",
    "ix_refresh_tokens_revoked_at",
    "pk_deleted_sessions",
    "ix_deleted_sessions_deleted_at",
    "pk_signing_keys",
    "uq_signing_keys_one_active",
    "pk_throttles",
    "ix_throttles_expires_at",
    "pk_audit_events",
    "ix_audit_events_user_id_at",
    "pk_outgoing_mails",
    "ix_outgoing_mails_user_id",
    "ix_outgoing_mails_due_at",
    "pk_link_tokens",
    "uq_link_tokens_token_hash",
    "ix_link_tokens_expires_at",
    "pk_schema_compatibility",
    "pk_pending_changes",
    "ix_pending_changes_effective_at",
    "uq_pending_changes_stop_hash",
    "pk_registrations",
    "ix_registrations_registered_at",
    "pk_factors",
    "ix_factors_user_id",
    "ix_factors_created_at",
    "uq_factors_credential_id",
    "pk_recovery_codes",
    "pk_spent_challenges",
    "ix_spent_challenges_expires_at",
    "pk_job_leases",
    "alembic_version_pkc",
}
WITH_TRIGRAMS = {"ix_users_email_trigrams", "ix_users_username_trigrams"}  # where PostgreSQL has pg_trgm
CHANGED_BY_A_REFRESH = {
    "generation", "rotations", "last_used_at", "idempotency_hash", "idempotency_spent", "idempotency_seen",
    "rotated_to", "rotated_user_agent", "rotated_ip", "earlier_used_at", "told_generation",
}  # fmt: skip


async def values(url: str, statement: str) -> list[Any]:
    return [row[0] for row in await run_sql(url, statement)]


async def test_there_are_these_indexes_and_no_other(postgres_url: str) -> None:
    # A partition has those of the table that it is a part of.
    ours = "schemaname = 'public' AND tablename NOT LIKE 'audit\\_events\\_%'"
    found = await values(postgres_url, f"SELECT indexname FROM pg_indexes WHERE {ours}")
    assert set(found) - WITH_TRIGRAMS == INDEXES


async def test_no_index_covers_a_column_that_a_refresh_changes(postgres_url: str) -> None:
    indexed = await values(
        postgres_url,
        "SELECT attname::text FROM pg_attribute, pg_index "
        "WHERE pg_index.indrelid = 'refresh_tokens'::regclass AND pg_attribute.attrelid = pg_index.indexrelid",
    )
    assert not CHANGED_BY_A_REFRESH & set(indexed)


async def test_rows_of_sessions_have_room_to_be_updated_in_place(postgres_url: str) -> None:
    assert await values(postgres_url, "SELECT reloptions FROM pg_class WHERE relname = 'refresh_tokens'") == [
        ["fillfactor=85"]
    ]


async def test_every_time_has_a_time_zone(postgres_url: str) -> None:
    times = await run_sql(
        postgres_url,
        "SELECT column_name, udt_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND (column_name LIKE '%\\_at' OR column_name = 'rotations' OR table_name || column_name = 'audit_eventsat')",
    )
    assert len(times) == 29
    assert {kind for _, kind in times} == {"timestamptz", "_timestamptz"}
    assert not await run_sql(
        postgres_url,
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND data_type = 'timestamp without time zone'",
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_keys_are_uuids_of_version_7_that_rise_with_time(client: Client, database_url: str) -> None:
    for number in range(3):
        (await client.register(f"user{number}@example.com")).raise_for_status()
        await client.sign_in(f"user{number}@example.com")
    for table in ("users", "refresh_tokens"):
        ids: list[UUID] = await values(database_url, f"SELECT id FROM {table} ORDER BY created_at")
        assert [key.version for key in ids] == [7, 7, 7]
        assert ids == sorted(ids)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_refresh_leaves_the_indexes_alone(ada: Client, database_url: str) -> None:
    await ada.rotate((await ada.sign_in())["refresh_token"], times=20)
    # A backend reports what it counted at the latest when it ends.
    mine = "datname = current_database() AND application_name = 'auth_service'"
    await run_sql(database_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
    updates = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'"

    async def counted() -> bool:
        ((every, in_place),) = await run_sql(database_url, updates)
        return bool(every >= 20 and in_place == every)

    await eventually(counted)
