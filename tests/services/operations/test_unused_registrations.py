"""Accounts that somebody registers, perhaps in a stranger's name, and nobody ever uses: they end, and no others do."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.cleanup_report import CleanupSurvey
from tests.conftest import MakeClient, environment
from tests.support import roles
from tests.support.admins import Admin
from tests.support.audit import read_audit
from tests.support.client import Client
from tests.support.operator import Operator, users
from tests.support.outbox import PLAIN, mark_verified
from tests.support.server import run_command
from tests.support.sessions import opened
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SQUATTED = "ada@example.com"
DAY = 86400


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    return await make_client(mail=PLAIN | {"port": 1})


async def age(url: str, days: float) -> None:
    """Let all registrations be so old."""
    ago = f"'-{days * DAY} seconds'"
    then = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {ago})" if "sqlite" in url else f"now() + interval {ago}"
    await run_sql(url, f"UPDATE registrations SET registered_at = {then}")


async def clean_up(url: str, folder: Path, *options: str, **settings: str) -> Any:
    """The command, by the role that may do no more; return its report."""
    env = environment(roles.as_role(url, "cleanup"), **settings)
    done = await asyncio.to_thread(run_command, "cleanup", "--json", *options, env=env, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def survey(url: str) -> CleanupSurvey:
    """What a run would find, for a role that may read accounts."""
    async with opened(url) as database:
        return await Cleanup(database, unverified_lifetime=30 * timedelta(days=1)).survey()


async def emails(url: str) -> set[str]:
    return {email for (email,) in await run_sql(url, "SELECT email FROM users")}


@on_a_lasting_database
async def test_squatting_on_a_strangers_address_and_on_a_name_ends_after_thirty_days(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    await client.register(SQUATTED, username="ada")
    await age(database_url, 29.9)
    assert (await clean_up(database_url, tmp_path))["registrations_deleted"] == 0
    assert (await client.register("bob@example.com", username="ada")).status_code == 409
    await age(database_url, 30.1)
    assert (await clean_up(database_url, tmp_path))["registrations_deleted"] == 1
    assert (await client.register(SQUATTED, username="ada")).status_code == 201
    events = [row["event"] for row in await read_audit(database_url, tmp_path)]
    assert events.count("account.expired") == 1


@on_a_lasting_database
async def test_an_account_that_was_used_or_that_somebody_looks_after_stays_for_ever(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    admin = await Admin.of(client)
    names = ("used", "verified", "disabled", "raised", "moved")
    ids = {name: (await client.register(f"{name}@example.com")).json()["id"] for name in names}
    await client.sign_in("used@example.com")
    await mark_verified(client, "verified@example.com", sent=False)
    assert (await admin.call("POST", f"/{ids['disabled']}/disable")).is_success
    operator = Operator(database_url, tmp_path)
    await users(operator, "set-role", "raised@example.com", "admin")
    await users(operator, "set-email", "moved@example.com", "moved@example.org")
    await users(operator, "create", "made@example.com", "--no-password")
    operator.write("users.jsonl", json.dumps({"email": "imported@example.com"}))
    await users(operator, "import", "users.jsonl")
    everybody = await emails(database_url)
    await age(database_url, 400)
    await run_sql(database_url, "UPDATE users SET last_login_at = NULL WHERE email = 'used@example.com'")
    report = await clean_up(database_url, tmp_path, "--batch-size", "2")
    assert report["registrations_deleted"] == 0
    assert (await survey(database_url)).registrations == 0
    assert await emails(database_url) == everybody, "the one who signed in too, although the login was not noted"
    assert await run_sql(database_url, "SELECT count(*) FROM registrations") == [(0,)], "each is looked at once"


@on_a_lasting_database
async def test_nothing_expires_where_that_is_turned_off(client: Client, database_url: str, tmp_path: Path) -> None:
    await client.register(SQUATTED)
    await age(database_url, 400)
    never = {"AUTH_REGISTRATION__UNVERIFIED_LIFETIME": "0"}
    assert (await clean_up(database_url, tmp_path, **never))["registrations_deleted"] == 0
    assert await emails(database_url) == {SQUATTED}


@on_a_lasting_database
async def test_nothing_expires_that_was_registered_where_no_mail_could_be_sent(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client()
    await client.register(SQUATTED)
    assert await run_sql(database_url, "SELECT count(*) FROM registrations") == [(0,)]


@on_a_lasting_database
async def test_they_go_in_batches_with_all_that_hangs_on_them(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    for number in range(5):
        await client.register(f"user{number}@example.com")
    await age(database_url, 31)
    assert (await survey(database_url)).registrations == 5
    assert (await clean_up(database_url, tmp_path, "--batch-size", "2"))["registrations_deleted"] == 5
    for table in ("users", "registrations", "outgoing_mails", "link_tokens"):
        assert await run_sql(database_url, f"SELECT count(*) FROM {table}") == [(0,)]


@on_postgresql
async def test_a_stolen_role_of_the_clean_up_ends_no_registration_of_today_and_no_account_in_use(
    client: Client, database_url: str
) -> None:
    await client.register(SQUATTED)
    await client.register("used@example.com")
    await client.sign_in("used@example.com")
    thief = await asyncpg.connect(roles.as_role(database_url, "cleanup"))
    try:
        assert await thief.fetchval("SELECT expired FROM expire_registrations(interval '0', 100)") == 0
        await age(database_url, 2)
        assert await thief.fetchval("SELECT expired FROM expire_registrations(interval '0', 100)") == 1
        for statement in ("DELETE FROM users", "SELECT * FROM registrations", "DELETE FROM registrations"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await thief.execute(statement)
    finally:
        await thief.close()
    assert await emails(database_url) == {"used@example.com"}


@on_postgresql
async def test_an_account_whose_owner_signs_in_at_that_moment_is_skipped_and_not_waited_for(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    await client.register(SQUATTED)
    await client.register("bob@example.com")
    await age(database_url, 31)
    owner = await asyncpg.connect(database_url)
    async with owner.transaction():
        await owner.execute("SELECT id FROM users WHERE email = 'ada@example.com' FOR SHARE")  # as a login does
        assert (await clean_up(database_url, tmp_path))["registrations_deleted"] == 1
    await owner.close()
    assert await emails(database_url) == {SQUATTED}
    assert (await clean_up(database_url, tmp_path))["registrations_deleted"] == 1
