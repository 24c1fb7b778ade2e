"""Changing a password: the old one opens nothing any more, and nobody who was let in by it stays in."""

import asyncio

import pytest
from passlib.context import CryptContext

from tests.support.client import PASSWORD, Client
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
NEW = "a passphrase that is new"


async def test_the_new_password_works_and_the_old_one_does_not(ada: Client) -> None:
    tokens = await ada.sign_in()
    assert (await ada.change_password(tokens["access_token"], PASSWORD, NEW)).status_code == 204
    assert (await ada.login()).status_code == 401
    assert (await ada.login(password=NEW)).status_code == 200


async def test_every_other_session_ends_and_the_one_that_asked_goes_on(ada: Client) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    await ada.change_password(mine["access_token"], PASSWORD, NEW)
    assert (await ada.refresh(other["refresh_token"])).status_code == 401
    assert (await ada.me(other["access_token"])).status_code == 401
    assert (await ada.me(mine["access_token"])).status_code == 200
    assert (await ada.rotate(mine["refresh_token"], times=2))["session_id"] == mine["session_id"]


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
    assert refused.json()["errors"] == [{"field": "new_password", "reason": "password-too-short"}]


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
    assert answers[0].status_code == 204
