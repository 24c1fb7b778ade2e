"""Changing a password: the old one opens nothing any more, and nobody who was let in by it stays in."""

import asyncio

import pytest
from passlib.context import CryptContext

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client, bearer
from tests.support.page import Page
from tests.support.problems import assert_problem, faults
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
NEW = "a passphrase that is new"
INTERNAL = {"X-Internal-Token": "internal-token-of-the-tests"}


async def test_the_new_password_works_and_the_old_one_does_not(ada: Client) -> None:
    tokens = await ada.sign_in()
    assert (await ada.change_password(tokens["access_token"], PASSWORD, NEW)).status_code == 200
    assert (await ada.login()).status_code == 401
    assert (await ada.login(password=NEW)).status_code == 200


async def test_a_stolen_copy_of_the_session_that_changes_the_password_dies_with_the_old_password(
    make_client: MakeClient,
) -> None:
    """ASVS 7.2.4: who copied the tokens of the owner's own browser is out, and not only those of other devices."""
    ada = await make_client(internal_token=INTERNAL["X-Internal-Token"])
    (await ada.register("ada@example.com")).raise_for_status()
    stolen = await ada.sign_in()
    head = await ada.rotate(stolen["refresh_token"])
    mine = (await ada.change_password(head["access_token"], PASSWORD, NEW)).raise_for_status().json()
    assert mine["session_id"] != stolen["session_id"]
    for copied in (stolen, head):
        assert (await ada.refresh(copied["refresh_token"])).status_code == 401
        assert (await ada.me(copied["access_token"])).status_code == 401
        asked = await ada.get("/internal/verify", headers=INTERNAL | bearer(copied["access_token"]))
        assert_problem(asked, 401, "invalid-access-token")
        told = await ada.post("/internal/introspect", data={"token": copied["access_token"]}, headers=INTERNAL)
        assert told.json() == {"active": False}
    good = await ada.get("/internal/verify", headers=INTERNAL | bearer(mine["access_token"]))
    assert good.headers["x-auth-session"] == mine["session_id"]
    assert (await ada.me(mine["access_token"])).status_code == 200
    assert (await ada.rotate(mine["refresh_token"], times=2))["session_id"] == mine["session_id"]


async def test_every_session_ends_and_only_the_new_one_is_left(ada: Client) -> None:
    asking, other = await ada.sign_in(), await ada.sign_in()
    answer = await ada.change_password(asking["access_token"], PASSWORD, NEW)
    mine = answer.raise_for_status().json()
    assert answer.headers["cache-control"] == "no-store"
    assert set(mine) == set(asking)
    for tokens in (asking, other):
        assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
        assert (await ada.me(tokens["access_token"])).status_code == 401
    assert [item["id"] for item in await ada.sessions(mine["access_token"])] == [mine["session_id"]]
    every = await ada.sessions(mine["access_token"], ended=True)
    assert {item["id"]: item["ended_reason"] for item in every} == {
        mine["session_id"]: None,
        asking["session_id"]: "password_changed",
        other["session_id"]: "password_changed",
    }


async def test_after_a_lost_answer_the_new_password_opens_and_nothing_from_before_does(ada: Client) -> None:
    """The one exception to the promise that no lost answer signs anybody out."""
    asking = await ada.sign_in()
    await ada.change_password(asking["access_token"], PASSWORD, NEW)  # its answer never arrives
    assert (await ada.change_password(asking["access_token"], PASSWORD, NEW)).status_code == 401
    assert (await ada.refresh(asking["refresh_token"])).status_code == 401
    assert (await ada.login(password=NEW)).status_code == 200


async def test_a_page_with_a_cookie_gets_the_new_session_in_its_cookie(make_client: MakeClient) -> None:
    client = await make_client(cookies={"enabled": True})
    (await client.register("ada@example.com")).raise_for_status()
    page = Page(client)
    old = (await page.login()).json()
    spent = page.cookie
    answer = await page.change_password(old["access_token"], PASSWORD, NEW)
    body = answer.raise_for_status().json()
    assert "refresh_token" not in body
    assert body["session_id"] != old["session_id"]
    assert page.cookie not in {None, spent}
    assert (await page.refresh()).json()["session_id"] == body["session_id"]
    page.cookie = spent
    assert (await page.refresh()).status_code == 401
    refused = await page.change_password(body["access_token"], NEW, PASSWORD, origin="https://evil.example")
    assert_problem(refused, 403, "cross-site-request")


async def test_a_wrong_current_password_changes_nothing(ada: Client) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    refused = await ada.change_password(mine["access_token"], "not the password at all", NEW)
    assert refused.status_code == 401
    assert refused.json()["code"] == "invalid-credentials"
    assert (await ada.refresh(other["refresh_token"])).status_code == 200
    assert (await ada.login()).status_code == 200


async def test_the_policy_holds_for_the_new_password_and_names_its_field(ada: Client) -> None:
    tokens = await ada.sign_in()
    refused = await ada.change_password(tokens["access_token"], PASSWORD, "too short")
    assert refused.status_code == 422
    assert faults(refused) == [("new_password", "password-too-short")]


async def test_a_password_is_changed_with_an_access_token_only(ada: Client) -> None:
    tokens = await ada.sign_in()
    assert (await ada.change_password(tokens["refresh_token"], PASSWORD, NEW)).status_code == 401
    await ada.logout(tokens["refresh_token"])
    assert (await ada.change_password(tokens["access_token"], PASSWORD, NEW)).status_code == 401


@on_a_lasting_database
async def test_a_login_that_renews_the_hash_meanwhile_does_not_fail_the_change(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    other_hash = CryptContext(["argon2"], argon2__memory_cost=128, argon2__time_cost=1).hash(PASSWORD)
    await run_sql(database_url, f"UPDATE users SET hashed_password = '{other_hash}'")
    change = ada.change_password(tokens["access_token"], PASSWORD, NEW)
    answers = await asyncio.gather(change, *(ada.login() for _ in range(3)))
    assert answers[0].status_code == 200
