"""A change of address that an administrator asks for: both mailboxes are told, it takes a day, and can be stopped."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import MakeClient
from tests.support.admins import Admin, promote
from tests.support.audit import read_audit
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.link_mails import LinkMails
from tests.support.operator import Operator, users
from tests.support.owner import NEW, OLD, PAGE, Owner, let_time_pass, verified_owner
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

OTHER = "ada@example.net"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def ada(client: Client, mails: LinkMails) -> Owner:
    return await verified_owner(client, mails)


async def left(url: str) -> list[str]:
    """What is left in the database of changes that were asked for: their kinds, and those of their mails."""
    mails = "SELECT kind FROM outgoing_mails WHERE kind LIKE 'email-change-%'"
    return [kind for (kind,) in await run_sql(url, f"SELECT kind FROM pending_changes UNION ALL {mails}")]


def taken(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether each pending change has taken effect or was given up."""

    async def none_is_pending() -> bool:
        return not await run_sql(url, "SELECT 1 FROM pending_changes")

    return none_is_pending


async def changes(url: str, folder: Path) -> list[tuple[str, str | None, str | None]]:
    """Each event about an address after its verification, the oldest first: what, by whom, and why."""
    events = [event for event in await read_audit(url, folder) if event["event"].startswith("email.change")]
    told = [(event["event"], event["details"].get("actor"), event["details"].get("reason")) for event in events]
    return told[::-1]


@on_a_lasting_database
async def test_both_addresses_are_told_and_the_change_takes_effect_after_the_delay_though_no_process_ran(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str, tmp_path: Path
) -> None:
    answer = await ada.ask()
    assert answer.status_code == 202
    effective_at = answer.json()["effective_at"]
    after = datetime.fromisoformat(effective_at) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < after <= timedelta(hours=24)
    when = f"{datetime.fromisoformat(effective_at):%Y-%m-%d %H:%M} UTC"
    old, new = await mails.link(OLD, PAGE), await mails.notice(NEW)
    assert old.startswith("http://127.0.0.1:8000/auth/pages/keep-email#token=lnk_")
    assert when in new
    assert OLD not in new, "whoever it is at the new address, the old one is none of their business"
    pending = {"email": NEW, "effective_at": effective_at}
    assert (await ada.client.pending_email(ada.tokens["access_token"])).json() == pending
    assert (await ada.admin.show(ada.id))["pending_email"] == pending
    assert (await ada.client.export(ada.tokens["access_token"])).json()["pending_email"] == pending
    assert (await ada.client.login(NEW)).status_code == 401, "nothing changes before"

    await let_time_pass(database_url)
    other = await make_client(**mails.settings)  # a process that starts when all is long due
    await eventually(taken(database_url))
    account = await ada.admin.show(ada.id)
    assert (account["email"], account["is_verified"], account["pending_email"]) == (NEW, False, None)
    assert account["sessions"] == []
    assert (await other.login(OLD)).status_code == 401
    assert (await other.login(NEW)).status_code == 200
    for address in (OLD, NEW):
        assert f"It is now {NEW}." in await mails.notice(address)
    assert (await other.verify_email(await mails.token(NEW, "verify-email"))).status_code == 204
    assert_problem(await other.keep_email(old.partition("#token=")[2]), 400, "invalid-link")
    assert (await other.register(OLD)).status_code == 201, "the address of before is free again"
    assert await changes(database_url, tmp_path) == [
        ("email.change_planned", f"admin:{ada.admin.id}", None),
        ("email.changed", "service", None),
    ]


@pytest.mark.parametrize("how", ["link", "session", "administrator"])
@on_a_lasting_database
async def test_whoever_reads_the_old_mailbox_or_is_signed_in_stops_it_and_nothing_of_it_is_left(
    ada: Owner, make_client: MakeClient, database_url: str, tmp_path: Path, how: str
) -> None:
    await ada.ask()
    token = await ada.link()
    if how == "link":
        stopped = await ada.client.keep_email(token)
    elif how == "session":
        stopped = await ada.client.stop_email(ada.tokens["access_token"])
    else:
        stopped = await ada.admin.call("DELETE", f"/{ada.id}/email")
    assert stopped.status_code == 204
    assert await left(database_url) == []
    assert_problem(await ada.client.keep_email(token), 400, "invalid-link")
    assert_problem(await ada.client.pending_email(ada.tokens["access_token"]), 404, "not-found")
    assert_problem(await ada.client.stop_email(ada.tokens["access_token"]), 404, "not-found")
    assert_problem(await ada.admin.call("DELETE", f"/{ada.id}/email"), 404, "not-found")
    await make_client(**ada.mails.settings)
    assert (await ada.client.me(ada.tokens["access_token"])).json()["email"] == OLD
    admin = f"admin:{ada.admin.id}"
    assert await changes(database_url, tmp_path) == [
        ("email.change_planned", admin, None),
        ("email.change_stopped", admin if how == "administrator" else None, how),
    ]


@on_a_lasting_database
async def test_a_second_request_replaces_the_first_and_starts_the_delay_anew(
    ada: Owner, mails: LinkMails, database_url: str
) -> None:
    first = (await ada.ask()).json()["effective_at"]
    stale = await ada.link()
    second = (await ada.ask(OTHER)).json()["effective_at"]
    assert second > first
    pending = (await ada.client.pending_email(ada.tokens["access_token"])).json()
    assert pending == {"email": OTHER, "effective_at": second}
    token = await ada.link()
    assert_problem(await ada.client.keep_email(stale), 400, "invalid-link")
    assert (await ada.client.keep_email(token)).status_code == 204
    assert await left(database_url) == []


@on_sqlite
async def test_what_was_not_sent_yet_of_a_change_that_is_replaced_or_stopped_is_taken_back(
    ada: Owner, mails: LinkMails, database_url: str
) -> None:
    mails.server.to_recipient = "451 not now"
    for address in (NEW, OTHER):
        await ada.ask(address)
    waiting = await run_sql(database_url, "SELECT details FROM outgoing_mails WHERE kind LIKE 'email-change-%'")
    assert [json.loads(details)["new_email"] for (details,) in waiting] == [OTHER] * 2
    assert (await ada.client.stop_email(ada.tokens["access_token"])).status_code == 204
    assert await left(database_url) == []


@on_postgresql
async def test_a_mail_that_is_being_sent_while_its_change_is_replaced_gets_no_link_that_stops_the_new_one(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    mail = {**mails.settings["mail"], "interval": 0.2}
    ada = await verified_owner(await make_client(mail=mail, database={"statement_timeout": 30}), mails)
    mails.server.to_recipient = "451 not now"
    await ada.ask()
    async with gate(database_url) as held:
        await held.close("UPDATE pending_changes SET effective_at = effective_at + interval '1 hour'")
        await held.wait_for(1)  # for the row of the change, in order to give it a link
        mails.server.to_recipient = "250 OK"
        await held.open()

    async def none_waits() -> bool:
        return not await run_sql(database_url, "SELECT 1 FROM outgoing_mails WHERE kind LIKE 'email-change-%'")

    await eventually(none_waits)
    assert [link for link in mails.links(OLD) if PAGE in link] == []


@on_postgresql
async def test_of_two_administrators_who_ask_at_once_the_last_one_counts_and_the_owner_can_stop_that(
    ada: Owner, mails: LinkMails, database_url: str
) -> None:
    other = await Admin.of(ada.client, "second@example.com")
    async with gate(database_url) as held:
        await held.close(f"SELECT 1 FROM users WHERE id = '{ada.id}' FOR UPDATE")
        asked = [asyncio.create_task(ada.ask())]
        await held.wait_for(1)
        asked.append(asyncio.create_task(other.call("POST", f"/{ada.id}/email", json={"email": OTHER})))
        await held.wait_for(2)
        await held.open()
        answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [202, 202]
    last = max(answers, key=lambda answer: answer.json()["effective_at"]).json()["effective_at"]
    pending = (await ada.client.pending_email(ada.tokens["access_token"])).json()
    assert pending["effective_at"] == last
    await eventually(one_link_stops_it(ada))
    assert await left(database_url) == []


def one_link_stops_it(ada: Owner) -> Callable[[], Awaitable[bool]]:
    """Whether the owner has a link by now that is not of the change that was replaced."""

    async def stops() -> bool:
        tokens = [link.partition("#token=")[2] for link in ada.mails.links(OLD) if PAGE in link]
        return any([(await ada.client.keep_email(token)).status_code == 204 for token in tokens])

    return stops


@on_postgresql
async def test_of_many_processes_one_makes_a_change_that_is_due(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str, tmp_path: Path
) -> None:
    await ada.ask()
    await ada.link()
    await let_time_pass(database_url)
    patient = {**mails.settings, "database": {"statement_timeout": 30}}
    async with gate(database_url) as held:
        await held.close(f"SELECT 1 FROM users WHERE id = '{ada.id}' FOR UPDATE")
        for _ in range(3):
            await make_client(**patient)

        async def all_wait() -> bool:
            return await held.queue() >= 3

        await eventually(all_wait)
        await held.open()
        await eventually(taken(database_url))
    await mails.token(NEW, "verify-email")
    made = [event for event, _, _ in await changes(database_url, tmp_path) if event == "email.changed"]
    assert made == ["email.changed"]


@on_postgresql
async def test_a_change_that_is_stopped_while_a_process_is_about_to_make_it_is_not_made(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    await ada.ask()
    token = await ada.link()
    await let_time_pass(database_url)
    async with gate(database_url) as held:
        await held.close(f"SELECT 1 FROM users WHERE id = '{ada.id}' FOR UPDATE")
        await make_client(**mails.settings, database={"statement_timeout": 30})
        await held.wait_for(1)
        assert (await ada.client.keep_email(token)).status_code == 204
        await held.open()
    assert (await ada.client.change_email(ada.tokens["access_token"], OTHER)).status_code == 202  # waits its turn
    assert await ada.email() == OLD


@on_a_lasting_database
async def test_an_address_that_was_taken_meanwhile_stays_its_owners_and_the_old_address_is_told_no_more_than_that(
    ada: Owner, make_client: MakeClient, mails: LinkMails, database_url: str, tmp_path: Path
) -> None:
    await ada.ask()
    token = await ada.link()
    assert (await ada.client.register(NEW)).status_code == 201
    await let_time_pass(database_url)
    await make_client(**mails.settings)
    await eventually(taken(database_url))
    told = await mails.notice(OLD)
    assert "nothing was changed" in told
    assert NEW.casefold() not in told.casefold()
    assert (await ada.client.me(ada.tokens["access_token"])).json()["email"] == OLD, "and who is signed in stays"
    assert_problem(await ada.client.keep_email(token), 400, "invalid-link")
    assert [event for event, _, _ in await changes(database_url, tmp_path)] == [
        "email.change_planned", "email.change_failed",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["the owner", "an operator", "all sessions", "disabled", "deleted"])
@on_a_lasting_database
async def test_another_change_of_the_account_puts_it_off(
    ada: Owner, mails: LinkMails, database_url: str, tmp_path: Path, how: str
) -> None:
    await ada.ask()
    token = await ada.link()
    if how == "the owner":
        await ada.client.change_email(ada.tokens["access_token"], OTHER)
        for address in (OLD, OTHER):
            changed = await ada.client.confirm_email(await mails.token(address, "confirm-email"))
        assert changed.json() == {"status": "changed"}
    elif how == "an operator":
        operator = Operator(database_url, tmp_path)
        assert json.loads(await users(operator, "show", OLD, "--json"))["pending_email"]["email"] == NEW
        assert f"pending_email: {NEW}  20" in await users(operator, "show", OLD)
        await users(operator, "set-email", OLD, OTHER)
    elif how == "all sessions":
        await users(Operator(database_url, tmp_path), "end-sessions", "--all", "--yes")
    elif how == "disabled":
        assert (await ada.admin.call("POST", f"/{ada.id}/disable")).status_code == 200
    else:
        assert (await ada.client.delete_account(ada.tokens["access_token"])).status_code == 204
    assert await left(database_url) == []
    assert_problem(await ada.client.keep_email(token), 400, "invalid-link")
    reason = {"all sessions": "all_sessions_ended", "disabled": "disabled", "deleted": None}.get(how, "other_change")
    reasons = [reason for event, _, reason in await changes(database_url, tmp_path) if event == "email.change_stopped"]
    assert reasons == ([reason] if reason else [])


@on_sqlite
async def test_what_cannot_be_asked_for_is_refused_and_nothing_is_written(ada: Owner, database_url: str) -> None:
    own = await ada.admin.call("POST", f"/{ada.admin.id}/email", json={"email": NEW})
    assert_problem(own, 409, "own-account")
    assert_problem(await ada.ask("root@example.com"), 409, "account-exists")
    assert_problem(await ada.admin.call("POST", f"/{NOBODY}/email", json={"email": NEW}), 404, "not-found")
    for address in ("nowhere", OLD.upper()):
        refused = await ada.ask(address)
        assert_problem(refused, 422, "validation-error")
        assert [error["field"] for error in refused.json()["errors"]] == ["email"]
    await ada.admin.call("POST", f"/{ada.id}/disable")
    assert_problem(await ada.ask(), 409, "account-disabled")
    assert await left(database_url) == []


@on_postgresql
async def test_without_mail_nobody_could_be_told_so_nothing_can_be_asked_for(make_client: MakeClient) -> None:
    admin = await Admin.of(await make_client())
    user_id = (await admin.client.register(OLD)).json()["id"]
    refused = await admin.call("POST", f"/{user_id}/email", json={"email": NEW})
    assert_problem(refused, 503, "mail-not-configured")


@on_sqlite
async def test_the_delay_and_the_page_are_settings(make_client: MakeClient, mails: LinkMails) -> None:
    page = "https://app.example.com/keep-email"
    mail = {**mails.settings["mail"], "keep_email_url": page}
    ada = await verified_owner(
        await make_client(mail=mail, administration={"email_change_delay": timedelta(days=3)}), mails
    )
    effective_at = datetime.fromisoformat((await ada.ask()).json()["effective_at"])
    assert effective_at > datetime.now(UTC) + timedelta(days=2)
    assert (await mails.link(OLD, PAGE)).startswith(f"{page}#token=lnk_")


@on_sqlite
async def test_where_accounts_are_concealed_the_new_mailbox_is_proved_before_anybody_signs_in_with_it(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    settings = {**mails.settings, "registration": {"existing": "conceal"}}
    client = await make_client(**settings)
    for address in (OLD, "root@example.com"):
        await client.register(address)
        assert (await client.verify_email(await mails.token(address, "verify-email"))).status_code == 204
    ((root,),) = await run_sql(database_url, "SELECT id FROM users WHERE email = 'root@example.com'")
    await promote(client, root)
    admin = Admin(client, root, await client.sign_in("root@example.com", PASSWORD))
    ada = (await admin.page(name=OLD))["items"][0]["id"]
    assert (await admin.call("POST", f"/{ada}/email", json={"email": NEW})).status_code == 202
    await mails.link(OLD, PAGE)
    await let_time_pass(database_url)
    await make_client(**settings)
    await eventually(taken(database_url))
    assert (await client.login(NEW)).status_code == 401
    assert (await client.verify_email(await mails.token(NEW, "verify-email"))).status_code == 204
    assert (await client.login(NEW)).status_code == 200
