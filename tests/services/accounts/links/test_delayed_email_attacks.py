"""An administrator who wants an account: nothing that they can do takes away the owner's notice, time or link."""

import json
from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.link_mails import LinkMails
from tests.support.owner import LONG_AGO, NEW, OLD, PAGE, Owner, let_time_pass, verified_owner
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
MINE = "a passphrase of the administrator"


@pytest.fixture
async def ada(client: Client, mails: LinkMails) -> Owner:
    return await verified_owner(client, mails)


@on_a_lasting_database
async def test_an_administrator_who_changes_the_address_and_resets_the_password_sends_the_link_to_its_owner(
    ada: Owner, mails: LinkMails
) -> None:
    await ada.ask()
    assert (await ada.admin.call("POST", f"/{ada.id}/reset-password")).status_code == 202
    assert (await ada.client.forgot_password(NEW)).status_code == 202
    reset, keep = await mails.token(OLD, "reset-password"), await ada.link()
    await mails.notice(NEW)
    assert mails.links(NEW) == [], "whoever is at the new address has nothing to use"
    assert (await ada.client.reset_password(reset, "another horse, another battery")).status_code == 204
    assert (await ada.client.keep_email(keep)).status_code == 204, "and the owner has not lost the way back"


@on_a_lasting_database
async def test_a_link_of_before_is_dead_when_the_address_has_changed(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """Whoever reads the lost mailbox has a reset link when the change takes effect."""
    await ada.ask()
    await ada.link()
    await ada.client.forgot_password(OLD)
    reset = await mails.token(OLD, "reset-password")
    await let_time_pass(database_url)
    await make_client(**mails.settings)
    await mails.token(NEW, "verify-email")
    assert_problem(await ada.client.reset_password(reset, MINE), 400, "invalid-link")
    back = f"UPDATE users SET email = '{OLD}', email_canonical = '{OLD}' WHERE email = '{NEW}'"
    await run_sql(database_url, back)
    assert_problem(await ada.client.reset_password(reset, MINE), 400, "invalid-link")


@on_a_lasting_database
async def test_an_administrator_who_ends_the_sessions_and_changes_the_role_leaves_the_owner_the_link(
    ada: Owner,
) -> None:
    await ada.ask()
    token = await ada.link()
    await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "admin"})
    await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "user"})
    await ada.admin.call("POST", f"/{ada.id}/end-sessions")
    assert (await ada.client.keep_email(token)).status_code == 204
    assert await ada.email() == OLD


@pytest.mark.parametrize("how", ["over HTTP", "by SQL"])
@on_a_lasting_database
async def test_an_account_that_is_disabled_for_the_delay_keeps_its_address(
    ada: Owner, make_client: MakeClient, database_url: str, how: str
) -> None:
    await ada.ask()
    await ada.link()
    if how == "by SQL":
        await run_sql(database_url, "UPDATE users SET is_active = false WHERE role = 'user'")
        await let_time_pass(database_url)
        await make_client(**ada.mails.settings)
        await eventually(changed(ada.id, ada))
    else:
        assert (await ada.admin.call("POST", f"/{ada.id}/disable")).status_code == 200
        assert (await ada.admin.show(ada.id))["pending_email"] is None
    assert (await ada.admin.call("POST", f"/{ada.id}/enable")).status_code == 200
    assert (await ada.client.login(OLD)).status_code == 200


@on_a_lasting_database
async def test_an_administrator_who_asks_again_and_again_cannot_exhaust_the_mails_to_the_owner(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """The address is not verified: mails to it are limited, as it may be a stranger's."""
    ada = await verified_owner(await make_client(throttle={"links": 2}, **mails.settings), mails)
    await run_sql(database_url, "UPDATE users SET is_verified = false")
    for number in range(2):
        assert (await ada.ask(f"mine{number}@example.net")).status_code == 202
        newest = await ada.link()
    assert_problem(await ada.ask(), 429, "too-many-attempts")
    assert (await ada.client.keep_email(newest)).status_code == 204
    assert (await ada.admin.call("DELETE", f"/{ada.id}")).status_code == 204
    ada.id = (await ada.client.register(OLD)).json()["id"]  # again, so that it is asked about for the first time
    assert (await ada.ask()).status_code == 202
    assert (await ada.client.keep_email(await ada.link())).status_code == 204


@on_a_lasting_database
async def test_a_change_whose_mail_was_held_up_waits_until_the_owner_had_half_of_the_delay(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """Of what is due at once, the longest due comes first: the change of eve shows that it was the owner's turn."""
    eve: str = (await ada.client.register("eve@example.com")).json()["id"]
    await let_eve_change(eve, ada, "eve@example.com", database_url)
    mails.server.to_recipient, before = "451 not now", mails.server.asked
    await ada.ask()
    await eventually(tried(mails, before + 2))
    mine = f"asked_at = {LONG_AGO}, effective_at = '2025-01-01 00:00:00.000000' WHERE new_email = '{NEW}'"
    await run_sql(database_url, f"UPDATE pending_changes SET {mine}")
    told = json.dumps({"new_email": NEW, "effective_at": "2025-01-01T00:00:00+00:00"})
    await run_sql(database_url, f"UPDATE outgoing_mails SET details = '{told}' WHERE kind = 'email-change-planned'")
    await make_client(**mails.settings)
    await eventually(changed(eve, ada))
    assert await ada.email() == OLD, "the mail was not sent yet"

    mails.server.to_recipient = "250 OK"
    await run_sql(database_url, f"UPDATE outgoing_mails SET due_at = {LONG_AGO}")
    token = await ada.link()
    await let_eve_change(eve, ada, "eve2@example.com", database_url)
    await make_client(**mails.settings)
    await eventually(changed(eve, ada))
    assert await ada.email() == OLD, "it was sent a moment ago"
    assert (await ada.client.keep_email(token)).status_code == 204


def tried(mails: LinkMails, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether the mail server was asked to take so many mails: before that, the link of each is made."""

    async def all_were_tried() -> bool:
        return mails.server.asked >= count

    return all_were_tried


async def let_eve_change(eve: str, ada: Owner, current: str, url: str) -> None:
    """Ask for another address of somebody else, which is due as soon as they were told."""
    other = "eve2@example.com" if current == "eve@example.com" else "eve3@example.com"
    assert (await ada.admin.call("POST", f"/{eve}/email", json={"email": other})).status_code == 202
    await ada.mails.token(current, PAGE)
    for column in ("effective_at", "asked_at"):
        await run_sql(url, f"UPDATE pending_changes SET {column} = {LONG_AGO} WHERE new_email = '{other}'")


def changed(user_id: str, ada: Owner) -> Callable[[], Awaitable[bool]]:
    """Whether nothing is pending for somebody."""

    async def is_done() -> bool:
        return (await ada.admin.show(user_id))["pending_email"] is None

    return is_done
