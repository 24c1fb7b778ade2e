"""Attacks with the address of a stranger, who clicks the link in our mail: a click shows who reads the mailbox, and not
who chose the password.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.audit import read_audit
from tests.support.client import PASSWORD, Client
from tests.support.link_mails import LinkMails
from tests.support.outbox import mark_verified
from tests.support.problems import assert_problem

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

VICTIM, MALLORY = "ada@example.com", "mallory@example.org"
ATTACKERS, NEW = "a password of the attacker", "another horse, another battery"


@pytest.fixture
async def attacker(client: Client) -> dict[str, Any]:
    """The tokens of somebody who has registered with the victim's address."""
    (await client.register(VICTIM, ATTACKERS, "mallory")).raise_for_status()
    return await client.sign_in(VICTIM, ATTACKERS)


async def click(client: Client, page: str, token: str, **more: str) -> Any:
    return await client.post(f"/auth/{page}", json={"token": token, **more})


async def assert_shut_out(client: Client, tokens: dict[str, Any]) -> None:
    assert_problem(await client.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await client.me(tokens["access_token"]), 401, "invalid-access-token")
    assert_problem(await client.login(VICTIM, ATTACKERS), 401, "invalid-credentials")


@on_a_lasting_database
async def test_pre_hijacking_by_a_click_of_the_owner_verifies_nothing_and_a_new_password_ends_all_of_the_attackers(
    client: Client, mails: LinkMails, attacker: dict[str, Any]
) -> None:
    token = await mails.token(VICTIM, "verify-email")
    clicked = await click(client, "verify-email", token)
    assert_problem(clicked, 401, "password-required")
    assert (await client.me(attacker["access_token"])).json()["is_verified"] is False
    assert_problem(await client.verify_email(token, password=PASSWORD), 401, "invalid-credentials")
    assert (await client.verify_email(token, new_password=NEW)).status_code == 204
    await assert_shut_out(client, attacker)
    mine = await client.sign_in(VICTIM, NEW)
    assert (await client.me(mine["access_token"])).json()["is_verified"] is True
    assert_problem(await click(client, "verify-email", token, new_password=ATTACKERS), 400, "invalid-link")
    assert "password" in await mails.notice(VICTIM)


@on_a_lasting_database
async def test_pre_hijacking_ends_with_a_reset_too_and_so_does_what_the_attacker_had_pending(
    client: Client, mails: LinkMails, attacker: dict[str, Any]
) -> None:
    await client.change_email(attacker["access_token"], MALLORY, ATTACKERS)
    waiting = await mails.token(MALLORY, "confirm-email")
    await client.forgot_password(VICTIM)
    assert (await client.reset_password(await mails.token(VICTIM, "reset-password"), NEW)).status_code == 204
    await assert_shut_out(client, attacker)
    assert_problem(await client.confirm_email(waiting, password=ATTACKERS), 400, "invalid-link")


@on_a_lasting_database
@pytest.mark.parametrize(("page", "other"), [("verify-email", "reset-password"), ("reset-password", "verify-email")])
async def test_pre_hijacking_by_a_squatter_who_changes_the_password_after_each_mail_does_not_lock_the_owner_out(
    client: Client, mails: LinkMails, attacker: dict[str, Any], page: str, other: str
) -> None:
    links = {"verify-email": await mails.token(VICTIM, "verify-email")}
    between = await client.change_password(attacker["access_token"], ATTACKERS, "a second one of the attacker")
    await client.forgot_password(VICTIM)
    links["reset-password"] = await mails.token(VICTIM, "reset-password")
    again = await client.change_password(between.json()["access_token"], "a second one of the attacker", ATTACKERS)
    assert (await click(client, page, links[page], new_password=NEW)).status_code == 204
    await assert_shut_out(client, again.json())
    mine = await client.sign_in(VICTIM, NEW)
    assert (await client.me(mine["access_token"])).json()["is_verified"] is True
    for spent in (page, other):
        assert_problem(await click(client, spent, links[spent], new_password=ATTACKERS), 400, "invalid-link")


@on_a_lasting_database
async def test_a_change_of_address_that_the_attacker_has_pending_dies_with_the_owners_new_password(
    client: Client, mails: LinkMails, attacker: dict[str, Any]
) -> None:
    token = await mails.token(VICTIM, "verify-email")
    await client.change_email(attacker["access_token"], MALLORY, ATTACKERS)
    waiting = await mails.token(MALLORY, "confirm-email")
    assert (await client.verify_email(token, new_password=NEW)).status_code == 204
    assert_problem(await client.confirm_email(waiting, password=ATTACKERS), 400, "invalid-link")


@on_a_lasting_database
async def test_an_account_that_takes_a_strangers_address_by_the_strangers_click_gets_nothing(
    client: Client, mails: LinkMails
) -> None:
    await client.register(MALLORY, ATTACKERS)
    mallory = await client.sign_in(MALLORY, ATTACKERS)
    await client.change_email(mallory["access_token"], VICTIM, ATTACKERS)
    token = await mails.token(VICTIM, "confirm-email")
    await client.register("bob@example.net")
    bob = await client.sign_in("bob@example.net")
    assert_problem(await click(client, "confirm-email", token), 401, "password-required")
    assert_problem(await client.confirm_email(token, password=PASSWORD), 401, "invalid-credentials")
    assert_problem(await client.confirm_email(token, access_token=bob["access_token"]), 401, "password-required")
    assert_problem(await click(client, "confirm-email", token, new_password=NEW), 422, "validation-error")
    account = (await client.me(mallory["access_token"])).json()
    assert (account["email"], account["is_verified"]) == (MALLORY, False)
    assert (await client.confirm_email(token, password=ATTACKERS)).json() == {"status": "changed"}, "it stayed good"


@on_a_lasting_database
async def test_a_link_at_the_old_address_approves_by_a_click_and_at_the_new_one_by_a_click_of_the_bearer(
    ada: Client, mails: LinkMails
) -> None:
    tokens = await ada.sign_in()
    assert (await ada.verify_email(await mails.token(VICTIM, "verify-email"))).status_code == 204
    await ada.change_email(tokens["access_token"], MALLORY)
    approve, confirm = await mails.token(VICTIM, "confirm-email"), await mails.token(MALLORY, "confirm-email")
    assert (await click(ada, "confirm-email", approve)).json() == {"status": "waiting"}
    assert (await ada.confirm_email(confirm, access_token=tokens["access_token"])).json() == {"status": "changed"}


@on_a_lasting_database
async def test_a_click_is_enough_for_the_bearer_of_that_very_account_and_of_a_live_session(
    ada: Client, mails: LinkMails
) -> None:
    mine, ended = await ada.sign_in(), await ada.sign_in()
    await ada.register(MALLORY)
    other = await ada.sign_in(MALLORY)
    await ada.logout(ended["refresh_token"])
    token = await mails.token(VICTIM, "verify-email")
    assert_problem(await ada.verify_email(token, access_token=other["access_token"]), 401, "password-required")
    assert_problem(await ada.verify_email(token, access_token=ended["access_token"]), 401, "invalid-access-token")
    assert_problem(await ada.verify_email(token, access_token="odd"), 401, "invalid-access-token")
    assert (await ada.verify_email(token, access_token=mine["access_token"])).status_code == 204
    account = (await ada.me(mine["access_token"])).json()
    assert account["is_verified"] is True, "and nobody was signed out"


@on_a_lasting_database
async def test_guesses_with_a_link_are_counted_and_in_the_trail_and_use_nothing_up(
    make_client: MakeClient, mails: LinkMails, database_url: str, tmp_path: Path
) -> None:
    client = await make_client(throttle={"account_failures": 2}, **mails.settings)
    await client.register(VICTIM)
    token = await mails.token(VICTIM, "verify-email")
    for _ in range(2):
        assert_problem(await client.verify_email(token, password=NEW), 401, "invalid-credentials")
    refused = await client.verify_email(token)
    assert_problem(refused, 429, "too-many-attempts")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await client.login(VICTIM)).status_code == 200, "which keeps nobody from signing in"
    rows = await read_audit(database_url, tmp_path)
    assert [row["event"] for row in rows].count("link.refused") == 2
    assert (await client.verify_email(token, new_password=NEW)).status_code == 204


@on_sqlite
async def test_a_link_takes_one_password_that_the_policy_allows_or_stays_good(ada: Client, mails: LinkMails) -> None:
    token = await mails.token(VICTIM, "verify-email")
    both = await ada.verify_email(token, password=PASSWORD, new_password=NEW)
    assert_problem(both, 422, "validation-error")
    assert_problem(await ada.verify_email(token, new_password="too short"), 422, "password-too-short")
    assert_problem(await ada.verify_email(token, new_password="ada@example.com1"), 422, "password-blocklisted")
    assert (await ada.verify_email(token)).status_code == 204


@on_sqlite
async def test_a_link_that_verifies_is_dead_once_the_address_is_verified_in_another_way(
    ada: Client, mails: LinkMails
) -> None:
    """It is good for a day and sets a password, which no link does for a verified account for so long."""
    token = await mails.token(VICTIM, "verify-email")
    await mark_verified(ada, VICTIM)
    for proof in ({"password": PASSWORD}, {"new_password": NEW}):
        assert_problem(await ada.verify_email(token, **proof), 400, "invalid-link")


@on_a_lasting_database
async def test_pre_hijacking_where_accounts_are_concealed_leaves_the_owner_a_way_in(
    make_client: MakeClient, mails: LinkMails
) -> None:
    client = await make_client(registration={"existing": "conceal"}, **mails.settings)
    first = await client.register(VICTIM, ATTACKERS)
    await mails.token(VICTIM, "verify-email")
    again = await client.register(VICTIM, PASSWORD)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    token = await mails.token(VICTIM, "verify-email")
    assert_problem(await client.verify_email(token, password=PASSWORD), 401, "invalid-credentials")
    assert (await client.verify_email(token, new_password=PASSWORD)).status_code == 204
    assert (await client.login(VICTIM, ATTACKERS)).status_code == 401
    await client.sign_in(VICTIM, PASSWORD)
    await client.register(VICTIM, ATTACKERS)
    assert "You already have one" in await _next_notice(mails, "request to create an account")


async def _next_notice(mails: LinkMails, words: str) -> str:
    while words not in (notice := await mails.notice(VICTIM)):
        pass
    return notice
