"""Connections as the server sees them, and an SQLite that many may use at once."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import DateTime, Interval, literal, select

from auth_service.repositories.database import Database
from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.databases import MakeDatabase, query
from tests.support.postgres import Postgres

FACTS = {
    "application_name": "auth_service",
    "TimeZone": "UTC",
    "jit": "off",
    "statement_timeout": "2s",
    "lock_timeout": "667ms",
    "idle_in_transaction_session_timeout": "10s",
    "transaction_isolation": "read committed",
}


async def test_every_connection_has_a_name_and_time_outs(make_database: MakeDatabase, postgres_url: str) -> None:
    database = make_database(postgres_url)
    for opened in (database.statement(), database.transaction()):
        async with opened as tx:
            assert {setting: await query(tx, f"SHOW {setting}") for setting in FACTS} == FACTS


async def test_the_time_outs_follow_the_setting(make_database: MakeDatabase, postgres_url: str) -> None:
    async with make_database(postgres_url, statement_timeout=0.9).statement() as tx:
        assert await query(tx, "SHOW statement_timeout") == "900ms"
        assert await query(tx, "SHOW lock_timeout") == "300ms"


async def test_thirty_seconds_ago_is_that_on_a_server_whose_clocks_change(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    """On the 29th of March 2026, those of Berlin went forward. The driver sends a day less, and the seconds of one."""
    async with make_database(postgres_url).statement() as tx:
        zone = "ALTER DATABASE %I SET timezone TO ''Europe/Berlin''"
        await query(tx, f"DO $$ BEGIN EXECUTE format('{zone}', current_database()); END $$")
    async with make_database(postgres_url).statement() as tx:
        noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
        ago = select(literal(noon, DateTime(timezone=True)) + literal(timedelta(seconds=-30), Interval()))
        assert await tx.session.scalar(ago) == noon - timedelta(seconds=30)


async def test_the_operator_finds_the_connections_by_their_name(
    postgres: Postgres, make_database: MakeDatabase, postgres_url: str
) -> None:
    async with make_database(postgres_url).statement() as tx:
        pid = await query(tx, "SELECT pg_backend_pid()")
        named = postgres.execute(f"SELECT application_name FROM pg_stat_activity WHERE pid = {pid}")
    assert named == "auth_service"


async def test_each_form_of_a_url_connects(make_database: MakeDatabase, postgres_url: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        for options in ("", "?sslmode=disable"):
            await make_database(postgres_url.replace("postgresql", scheme, 1) + options).check()


async def test_several_hosts_may_be_named_and_the_first_that_answers_is_taken(
    make_database: MakeDatabase, postgres_url: str
) -> None:
    await make_database(postgres_url.replace("@", "@127.0.0.1:1,", 1)).check()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_sqlite_enforces_foreign_keys_and_keeps_a_log_of_writes(database: Database) -> None:
    async with database.statement() as tx:
        assert await query(tx, "PRAGMA foreign_keys") == 1
        assert await query(tx, "PRAGMA journal_mode") == "wal"
        assert await query(tx, "PRAGMA busy_timeout") == 2000


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_deleting_a_user_removes_their_sessions(
    ada: Client, database_url: str, make_database: MakeDatabase
) -> None:
    tokens = await ada.sign_in()
    async with make_database(database_url).transaction() as tx:
        await query(tx, "DELETE FROM users")
        assert await query(tx, "SELECT count(*) FROM refresh_tokens") == 0
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401


async def test_20_registrations_and_20_refreshes_at_once_do_not_fail_each_other(ada: Client) -> None:
    tokens = [(await ada.sign_in())["refresh_token"] for _ in range(20)]
    registrations = [ada.register(f"user{n}@example.com") for n in range(20)]
    answers = await asyncio.gather(*registrations, *(ada.refresh(token) for token in tokens))
    assert [answer.status_code for answer in answers] == [201] * 20 + [200] * 20


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_a_writer_waits_for_another_program_that_holds_the_sqlite_file(
    make_client: MakeClient, tmp_path: Path
) -> None:
    client = await make_client(database={"statement_timeout": 1})
    held = sqlite3.connect(tmp_path / "auth.db", isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(held.execute, "BEGIN IMMEDIATE")
    registration = asyncio.create_task(client.register("ada@example.com"))
    done, _ = await asyncio.wait({registration}, timeout=0.3)
    assert not done
    held.execute("COMMIT")
    assert (await registration).status_code == 201
    await asyncio.to_thread(held.execute, "BEGIN IMMEDIATE")  # not in the loop, in which the service may be writing
    refused = await client.register("eve@example.com")
    held.close()
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
