"""What owners do with their account: another name, all of it on one page, and its end."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.orphans import hang_mail_on, left_of
from tests.support.problems import assert_problem
from tests.support.sql import run_sql, write_past_events

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
WRONG = "not the password at all"


async def test_a_username_is_changed_taken_away_and_is_somebody_elses_only_once(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    (await ada.register("grace@example.com", PASSWORD, "grace")).raise_for_status()
    renamed = await ada.rename(token, " Countess ")
    assert (renamed.status_code, renamed.json()["username"]) == (200, "Countess")
    assert renamed.json()["updated_at"] > renamed.json()["created_at"]
    by_name = {"username": "countess", "password": PASSWORD}
    assert (await ada.post("/auth/login", json=by_name)).status_code == 200
    assert_problem(await ada.rename(token, "GRACE"), 409, "account-exists")
    assert (await ada.me(token)).json()["username"] == "Countess"
    assert (await ada.rename(token, None)).json()["username"] is None
    assert (await ada.post("/auth/login", json=by_name)).status_code == 401
    assert (await ada.register("other@example.com", PASSWORD, "countess")).status_code == 201


@on_sqlite
@pytest.mark.parametrize("body", [{}, {"username": ""}, {"username": "a b"}, {"username": 7}, {"email": "a@b.example"}])
async def test_what_is_no_username_changes_nothing(ada: Client, body: object) -> None:
    token = (await ada.sign_in())["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert_problem(await ada.patch("/auth/me", json=body, headers=bearer), 422, "validation-error")
    assert (await ada.me(token)).json()["username"] == "ada"


async def test_who_deletes_the_account_is_out_everywhere_and_the_address_is_free_again(ada: Client) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    spare = await ada.rotate(other["refresh_token"])
    assert (await ada.delete_account(mine["access_token"], PASSWORD)).status_code == 204
    for tokens in (mine, other, spare):
        assert_problem(await ada.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")
        assert_problem(await ada.me(tokens["access_token"]), 401, "invalid-access-token")
    assert_problem(await ada.delete_account(mine["access_token"], PASSWORD), 401, "invalid-access-token")
    assert_problem(await ada.login(), 401, "invalid-credentials")
    assert (await ada.register("ADA@example.com", PASSWORD, "Ada")).status_code == 201
    assert len(await ada.sessions((await ada.sign_in())["access_token"])) == 1


async def test_a_wrong_password_deletes_nothing_and_is_soon_refused_for_a_while(make_client: MakeClient) -> None:
    client = await make_client(throttle={"account_failures": 2})
    (await client.register("ada@example.com")).raise_for_status()
    tokens = await client.sign_in()
    for _ in range(2):
        assert_problem(await client.delete_account(tokens["access_token"], WRONG), 401, "invalid-credentials")
    assert_problem(await client.delete_account(tokens["access_token"], PASSWORD), 429, "too-many-attempts")
    assert_problem(await client.change_password(tokens["access_token"], WRONG, WRONG), 429, "too-many-attempts")
    assert (await client.me(tokens["access_token"])).status_code == 200


@on_a_lasting_database
async def test_nothing_of_a_deleted_account_is_left_but_its_trail(ada: Client, database_url: str) -> None:
    mine = await ada.sign_in()
    mine = (await ada.change_password(mine["access_token"], PASSWORD, WRONG)).raise_for_status().json()
    user_id = (await ada.me(mine["access_token"])).json()["id"]
    await hang_mail_on(database_url, user_id)
    everywhere = {"users", "refresh_tokens", "outgoing_mails", "link_tokens", "pending_changes", "audit_events"}
    everywhere.add("registrations")
    assert set(await left_of(database_url, user_id)) == everywhere
    assert (await ada.delete_account(mine["access_token"], WRONG)).status_code == 204
    assert set(await left_of(database_url, user_id)) == {"audit_events"}
    trail = await run_sql(database_url, "SELECT event FROM audit_events WHERE user_id IS NOT NULL ORDER BY at DESC")
    assert [event for (event,) in trail[:2]] == ["account.deleted", "session.ended"]


@on_a_lasting_database
async def test_the_last_administrator_stays_until_there_is_another(ada: Client, database_url: str) -> None:
    mine = await ada.sign_in()
    await run_sql(database_url, "UPDATE users SET role = 'admin'")
    assert_problem(await ada.delete_account(mine["access_token"], WRONG), 401, "invalid-credentials")
    assert_problem(await ada.delete_account(mine["access_token"]), 409, "last-admin")
    assert (await ada.rotate(mine["refresh_token"]))["session_id"] == mine["session_id"]
    (await ada.register("grace@example.com")).raise_for_status()
    await run_sql(database_url, "UPDATE users SET role = 'admin', is_active = $1 WHERE username IS NULL", False)
    assert_problem(await ada.delete_account(mine["access_token"]), 409, "last-admin")
    await run_sql(database_url, "UPDATE users SET is_active = $1", True)
    assert (await ada.delete_account(mine["access_token"])).status_code == 204


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_an_export_does_not_fail_because_others_write(make_client: MakeClient, database_url: str) -> None:
    ada = await make_client(throttle={"changes": 40})
    (await ada.register("ada@example.com")).raise_for_status()
    tokens = await ada.sign_in()
    at_the_end = threading.Event()

    def write() -> None:
        """A transaction that only read is refused on SQLite when it wants to write after somebody else did."""
        with closing(sqlite3.connect(database_url.partition("///")[2], timeout=10, isolation_level=None)) as other:
            while not at_the_end.wait(0.0005):
                other.execute("UPDATE users SET updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')")

    writer = asyncio.create_task(asyncio.to_thread(write))
    try:
        answers = [await ada.export(tokens["access_token"]) for _ in range(40)]
    finally:
        at_the_end.set()
        await writer
    assert {answer.status_code for answer in answers} == {200}


async def test_the_export_holds_the_account_its_sessions_and_its_trail_and_no_secret(ada: Client) -> None:
    ended, mine = await ada.sign_in(), await ada.sign_in()
    await ada.logout(ended["refresh_token"])
    (await ada.register("grace@example.com")).raise_for_status()
    await ada.sign_in("grace@example.com")
    answer = await ada.export(mine["access_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    document = answer.json()
    assert list(document) == [
        "exported_at", "account", "pending_email", "pending_factors_reset", "factors", "recovery_codes_left",
        "sessions", "events",
    ]  # fmt: skip
    assert (document["factors"], document["recovery_codes_left"]) == ([], 0)
    assert document["account"] == (await ada.me(mine["access_token"])).json()
    kept = [
        {key: value for key, value in item.items() if key != "current"}
        for item in await ada.sessions(mine["access_token"], ended=True)
    ]
    assert document["sessions"] == kept
    assert [session["ended_reason"] for session in kept] == [None, "logout"]
    assert [(event["event"], event["session_id"]) for event in document["events"]] == [
        ("account.exported", None),
        ("session.ended", ended["session_id"]),
        ("login.succeeded", mine["session_id"]),
        ("login.succeeded", ended["session_id"]),
        ("account.registered", None),
    ]
    for secret in ("argon2", "hash", "art_", mine["access_token"], "grace", "secret", "epoch"):
        assert secret not in answer.text


@on_postgresql
async def test_the_trail_of_years_is_exported_page_by_page(ada: Client, database_url: str) -> None:
    mine = await ada.sign_in()
    user_id = (await ada.me(mine["access_token"])).json()["id"]
    # With those of registering, signing in and exporting, exactly two pages: the third one is empty.
    await write_past_events(
        database_url,
        """
        INSERT INTO audit_events (at, id, event, user_id, details)
        SELECT now() - number * interval '1 hour', gen_random_uuid(), 'login.failed', $1, '{}'
        FROM generate_series(1, 1997) AS number
        """,
        user_id,
    )
    events = (await ada.export(mine["access_token"])).json()["events"]
    assert len(events) == 2000
    assert [event["at"] for event in events] == sorted((event["at"] for event in events), reverse=True)


@on_a_lasting_database
async def test_the_export_tells_nothing_about_whoever_else_acted(ada: Client, database_url: str) -> None:
    await write_past_events(
        database_url,
        """
        INSERT INTO audit_events (at, id, event, user_id, ip, user_agent, details)
        SELECT created_at, id, 'account.disabled', id, '192.0.2.1', 'of the admin', '{"actor": "admin:zoe"}' FROM users
        """,
    )
    answer = await ada.export((await ada.sign_in())["access_token"])
    told = [(event["event"], event["by"], event["ip"]) for event in answer.json()["events"]]
    assert told[2:] == [
        ("account.registered", "owner", "127.0.0.1"),
        ("account.disabled", "admin", None),
    ]
    for word in ("zoe", "192.0.2.1", "of the admin"):
        assert word not in answer.text


@on_postgresql
async def test_an_export_that_the_database_cannot_give_is_a_503_and_no_half_document(
    ada: Client, database_url: str
) -> None:
    mine = await ada.sign_in()
    await run_sql(database_url, "ALTER TABLE audit_events RENAME TO away")
    assert (await ada.export(mine["access_token"])).status_code == 503
    assert (await ada.delete_account(mine["access_token"])).status_code == 503
    await run_sql(database_url, "ALTER TABLE away RENAME TO audit_events")
    assert (await ada.me(mine["access_token"])).status_code == 200
