"""What administrators do about other people's accounts, on every database, and what the trail keeps of it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import MakeClient
from tests.support.admins import Admin, promote
from tests.support.audit import read_audit
from tests.support.client import PASSWORD
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
MAIL = {"host": "127.0.0.1", "port": 9, "sender": "auth@example.com"}


@pytest.fixture
async def admin(make_client: MakeClient, database_url: str) -> Admin:
    mail = {"mail": MAIL} if database_url.startswith("postgresql") else {}
    return await Admin.of(await make_client(throttle={"enabled": False}, **mail))


@pytest.fixture
async def ada(admin: Admin) -> str:
    """The id of ada@example.com."""
    user_id: str = (await admin.client.register("ada@example.com")).raise_for_status().json()["id"]
    return user_id


async def test_another_role_ends_the_sessions_that_told_the_old_one(admin: Admin, ada: str) -> None:
    tokens = await admin.client.sign_in()
    assert (await admin.call("PATCH", f"/{ada}", json={"role": "admin"})).json()["role"] == "admin"
    assert (await admin.client.me(tokens["access_token"])).status_code == 401
    assert (await admin.client.refresh(tokens["refresh_token"])).status_code == 401
    theirs = Admin(admin.client, ada, await admin.client.sign_in())
    assert (await theirs.call("GET")).status_code == 200
    again = await admin.call("PATCH", f"/{ada}", json={"role": "admin"})  # it is so already: nobody is signed out
    assert again.status_code == 200
    assert (await theirs.call("GET")).status_code == 200
    assert_problem(await admin.call("PATCH", f"/{ada}", json={"role": "king"}), 422, "validation-error")


async def test_who_is_disabled_is_out_until_they_are_enabled_and_sign_in_again(admin: Admin, ada: str) -> None:
    tokens = await admin.client.sign_in()
    assert (await admin.call("POST", f"/{ada}/disable")).json()["is_active"] is False
    assert (await admin.client.me(tokens["access_token"])).status_code == 401
    assert (await admin.client.login()).status_code == 401
    assert (await admin.call("POST", f"/{ada}/enable")).json()["is_active"] is True
    assert (await admin.client.refresh(tokens["refresh_token"])).status_code == 401
    assert (await admin.client.login()).status_code == 200


async def test_whose_sessions_are_ended_may_sign_in_again(admin: Admin, ada: str) -> None:
    tokens = [await admin.client.sign_in() for _ in range(2)]
    assert (await admin.call("POST", f"/{ada}/end-sessions")).json() == {"ended": 2}
    assert (await admin.call("POST", f"/{ada}/end-sessions")).json() == {"ended": 0}
    for session in tokens:
        assert (await admin.client.me(session["access_token"])).status_code == 401
    assert (await admin.client.login()).status_code == 200


async def test_a_deleted_user_is_gone_with_the_sessions_and_the_address_is_free(admin: Admin, ada: str) -> None:
    tokens = await admin.client.sign_in()
    assert (await admin.call("DELETE", f"/{ada}")).status_code == 204
    assert (await admin.client.me(tokens["access_token"])).status_code == 401
    assert_problem(await admin.call("GET", f"/{ada}"), 404, "not-found")
    assert (await admin.client.register("ada@example.com")).status_code == 201


async def test_who_does_not_exist_is_not_found_by_any_action(admin: Admin) -> None:
    nobody = f"/{uuid4()}"
    answers = [await admin.call("PATCH", nobody, json={"role": "user"}), await admin.call("DELETE", nobody)]
    actions = ("disable", "enable", "end-sessions", "reset-password")
    answers += [await admin.call("POST", f"{nobody}/{action}") for action in actions]
    for answer in answers:
        assert_problem(answer, 404, "not-found")


async def test_the_last_administrator_cannot_be_removed_in_any_way(admin: Admin, ada: str) -> None:
    own = f"/{admin.id}"
    for method, path, body in (
        ("PATCH", own, {"role": "user"}), ("POST", f"{own}/disable", None), ("DELETE", own, None),
    ):  # fmt: skip
        assert_problem(await admin.call(method, path, json=body), 409, "last-admin")
    assert (await admin.call("GET", own)).status_code == 200  # and is signed in as before
    await promote(admin.client, ada)
    assert (await admin.call("DELETE", own)).status_code == 204


@on_postgresql
async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(
    admin: Admin, ada: str, database_url: str
) -> None:
    await promote(admin.client, ada)
    other = Admin(admin.client, ada, await admin.client.sign_in())
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM users FOR UPDATE")
        racers = [
            asyncio.create_task(admin.call("DELETE", f"/{other.id}")),
            asyncio.create_task(other.call("POST", f"/{admin.id}/disable")),
        ]
        await held.wait_for(2)
        await held.open()
        codes = sorted([answer.status_code for answer in await asyncio.gather(*racers)])
    assert codes in ([200, 409], [204, 409])
    left = "SELECT count(*) FROM users WHERE role = 'admin' AND is_active"
    assert await run_sql(database_url, left) == [(1,)]


@on_postgresql
async def test_a_login_that_is_under_way_while_its_user_is_demoted_gets_no_token_of_the_old_role(
    admin: Admin, ada: str, database_url: str
) -> None:
    await promote(admin.client, ada)
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM users WHERE email = 'ada@example.com' FOR UPDATE")
        demotion = asyncio.create_task(admin.call("PATCH", f"/{ada}", json={"role": "user"}))
        await held.wait_for(1)
        login = asyncio.create_task(admin.client.login())  # has read the old role, and is second in the queue
        await held.wait_for(2)
        await held.open()
        demoted, answer = await asyncio.gather(demotion, login)
    assert demoted.status_code == 200
    assert_problem(answer, 401, "invalid-credentials")


@on_a_lasting_database
async def test_who_is_created_has_no_password_and_is_invited_to_choose_one(admin: Admin, database_url: str) -> None:
    made = await admin.call("POST", json={"email": "Eve@example.com", "username": "eve", "role": "admin"})
    assert made.status_code == 201
    assert {**made.json(), "id": "", "created_at": "", "updated_at": ""} == {
        "id": "", "email": "Eve@example.com", "username": "eve", "role": "admin", "is_active": True,
        "is_verified": False, "created_at": "", "updated_at": "", "last_login_at": None,
    }  # fmt: skip
    assert_problem(await admin.client.login("eve@example.com", "!" * 15), 401, "invalid-credentials")
    assert_problem(await admin.call("POST", json={"email": "EVE@example.com"}), 409, "account-exists")
    with_password = {"email": "mallory@example.com", "password": PASSWORD}
    assert_problem(await admin.call("POST", json=with_password), 422, "validation-error")


@on_postgresql
async def test_a_started_reset_is_a_mail_to_the_owner_and_nothing_that_the_administrator_sees(
    admin: Admin, ada: str, database_url: str
) -> None:
    tokens = await admin.client.sign_in()
    answer = await admin.call("POST", f"/{ada}/reset-password")
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    (mail,) = await run_sql(
        database_url, "SELECT kind, user_id::text, recipient FROM outgoing_mails WHERE kind LIKE 'res%'"
    )
    assert mail == ("reset-password", ada, None)
    assert (await admin.client.login()).status_code == 200
    assert (await admin.client.refresh(tokens["refresh_token"])).status_code == 200


@on_postgresql
async def test_nobody_is_created_and_no_reset_started_where_no_mail_can_be_sent(
    make_client: MakeClient, database_url: str
) -> None:
    admin = await Admin.of(await make_client())
    refused = await admin.call("POST", json={"email": "eve@example.com"})
    assert_problem(refused, 503, "mail-not-configured")
    assert_problem(await admin.call("POST", f"/{admin.id}/reset-password"), 503, "mail-not-configured")
    assert await admin.emails(q="eve") == []


@on_a_lasting_database
async def test_the_trail_names_the_administrator_of_every_action(
    admin: Admin, ada: str, database_url: str, tmp_path: Path
) -> None:
    await admin.client.sign_in()
    for method, path, body in (
        ("POST", "", {"email": "eve@example.com"}),
        ("PATCH", f"/{ada}", {"role": "admin"}), ("PATCH", f"/{ada}", {"role": "user"}),
        ("POST", f"/{ada}/disable", None), ("POST", f"/{ada}/enable", None),
        ("POST", f"/{ada}/reset-password", None),
        ("DELETE", f"/{ada}", None),
    ):  # fmt: skip
        assert (await admin.call(method, path, json=body)).is_success, path
    events: list[dict[str, Any]] = await read_audit(database_url, tmp_path, "--limit", "9")
    actor = f"admin:{admin.id}"
    mine = [event for event in reversed(events) if event["details"].get("actor") == actor]
    assert [event["event"] for event in mine] == [
        "account.registered", "account.role_changed", "session.ended", "account.role_changed", "account.disabled",
        "account.enabled", "password.reset_started", "account.deleted",
    ]  # fmt: skip
    assert {event["ip"] for event in mine} == {"127.0.0.1"}


async def test_a_client_that_was_no_administrator_changes_nothing(admin: Admin, ada: str) -> None:
    user = Admin(admin.client, ada, await admin.client.sign_in())
    assert_problem(await user.call("PATCH", f"/{ada}", json={"role": "admin"}), 403, "insufficient-role")
    assert (await admin.show(ada))["role"] == "user"
