"""A change of the e-mail address: both mailboxes agree, and until then nothing changes."""

import json

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.link_mails import LinkMails
from tests.support.polling import eventually
from tests.support.problems import assert_problem, faults
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

OLD, NEW, OTHER = "ada@example.com", "Ada.Byron@example.org", "ada@example.net"
WRONG = "not the password at all"
PAGE = "confirm-email"


@pytest.fixture
async def verified(ada: Client, mails: LinkMails) -> Client:
    """The client, with an account whose address is verified."""
    assert (await ada.verify_email(await mails.token(OLD, "verify-email"))).status_code == 204
    return ada


@pytest.mark.parametrize("first", ["old", "new"])
@on_a_lasting_database
async def test_the_address_changes_when_the_second_of_the_two_links_is_used(
    verified: Client, mails: LinkMails, first: str
) -> None:
    tokens = await verified.sign_in()
    assert (await verified.change_email(tokens["access_token"], NEW)).status_code == 202
    links = {"old": await mails.token(OLD, PAGE), "new": await mails.token(NEW, PAGE)}
    one = links.pop(first)
    (two,) = links.values()
    assert (await verified.confirm_email(one)).json() == {"status": "waiting"}
    assert_problem(await verified.confirm_email(one), 400, "invalid-link")
    assert (await verified.me(tokens["access_token"])).json()["email"] == OLD
    assert (await verified.confirm_email(two)).json() == {"status": "changed"}
    account = (await verified.me(tokens["access_token"])).json()
    assert (account["email"], account["is_verified"]) == (NEW, True), "and whoever is signed in stays"
    assert (await verified.login(OLD)).status_code == 401
    assert (await verified.login(NEW.casefold())).status_code == 200
    assert "address" in (await mails.notice(OLD)).casefold()
    assert (await verified.register(OLD)).status_code == 201, "the address of before is free again"


@on_a_lasting_database
async def test_an_address_that_was_never_verified_needs_the_new_mailbox_alone(ada: Client, mails: LinkMails) -> None:
    tokens = await ada.sign_in()
    stale = await mails.token(OLD, "verify-email")
    assert (await ada.change_email(tokens["access_token"], NEW)).status_code == 202
    assert (await ada.confirm_email(await mails.token(NEW, PAGE))).json() == {"status": "changed"}
    account = (await ada.me(tokens["access_token"])).json()
    assert (account["email"], account["is_verified"]) == (NEW, True)
    assert_problem(await ada.verify_email(stale), 400, "invalid-link")
    assert [found for found in mails.links(OLD) if PAGE in found] == [], "a typo's owner is asked for nothing"


@on_sqlite
async def test_an_address_that_is_verified_meanwhile_has_to_approve(ada: Client, mails: LinkMails) -> None:
    tokens = await ada.sign_in()
    verification = await mails.token(OLD, "verify-email")
    await ada.change_email(tokens["access_token"], NEW)
    confirmation = await mails.token(NEW, PAGE)
    assert (await ada.verify_email(verification)).status_code == 204
    assert (await ada.confirm_email(confirmation)).json() == {"status": "waiting"}
    assert (await ada.me(tokens["access_token"])).json()["email"] == OLD


@on_a_lasting_database
async def test_a_new_request_takes_the_place_of_the_pending_one(verified: Client, mails: LinkMails) -> None:
    tokens = await verified.sign_in()
    await verified.change_email(tokens["access_token"], NEW)
    first = [await mails.token(OLD, PAGE), await mails.token(NEW, PAGE)]
    assert (await verified.confirm_email(first[0])).json() == {"status": "waiting"}
    await verified.change_email(tokens["access_token"], OTHER)
    second = [await mails.token(OLD, PAGE), await mails.token(OTHER, PAGE)]
    for token in first:
        assert_problem(await verified.confirm_email(token), 400, "invalid-link")
    assert (await verified.confirm_email(second[1])).json() == {"status": "waiting"}
    assert (await verified.confirm_email(second[0])).json() == {"status": "changed"}
    assert (await verified.me(tokens["access_token"])).json()["email"] == OTHER


@on_sqlite
async def test_a_new_request_takes_back_the_mails_of_the_one_before_that_were_not_sent_yet(
    verified: Client, mails: LinkMails, database_url: str
) -> None:
    tokens = await verified.sign_in()
    mails.server.to_recipient = "451 not now"
    for address in (NEW, OTHER):
        assert (await verified.change_email(tokens["access_token"], address)).status_code == 202
    waiting = await run_sql(database_url, "SELECT details FROM outgoing_mails WHERE kind LIKE '%-email-change'")
    assert [json.loads(details)["new_email"] for (details,) in waiting] == [OTHER] * 2


@on_a_lasting_database
async def test_a_change_whose_mail_waited_for_the_mail_server_dies_with_a_password_change_all_the_same(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """Whoever knew the password, and answers 4xx at the new address until the owner has another one, gets nothing."""
    ada = await make_client(mail=mails.settings["mail"] | {"interval": 0.2})
    await ada.register(OLD)
    tokens = await ada.sign_in()
    mails.server.to_recipient = "451 not now"
    assert (await ada.change_email(tokens["access_token"], NEW)).status_code == 202
    assert (await ada.change_password(tokens["access_token"], PASSWORD, "another horse, another battery")).is_success
    mails.server.to_recipient = "250 OK"

    async def all_are_done() -> bool:
        return not await run_sql(database_url, "SELECT 1 FROM outgoing_mails")

    await eventually(all_are_done, seconds=20)
    for link in mails.links(NEW):  # one that was on its way already, and is as dead
        assert_problem(await ada.confirm_email(link.partition("#token=")[2]), 400, "invalid-link")
    assert (await ada.sign_in(OLD, "another horse, another battery"))["access_token"]


@on_sqlite
async def test_enumeration_by_a_change_of_address_is_stopped_as_soon_as_asking_for_links(
    make_client: MakeClient, mails: LinkMails
) -> None:
    ada = await make_client(throttle={"links": 2}, **mails.settings)
    for email in (OLD, OTHER):
        await ada.register(email)
    tokens = await ada.sign_in()
    for _ in range(2):
        assert_problem(await ada.change_email(tokens["access_token"], OTHER), 409, "account-exists")
    for email in (OTHER, NEW):
        assert_problem(await ada.change_email(tokens["access_token"], email), 429, "too-many-attempts")


@on_sqlite
async def test_the_current_password_is_asked_for_and_cannot_be_guessed_with_a_stolen_access_token(
    make_client: MakeClient, mails: LinkMails
) -> None:
    ada = await make_client(throttle={"account_failures": 2}, **mails.settings)
    await ada.register(OLD)
    tokens = await ada.sign_in()
    for _ in range(2):
        assert_problem(await ada.change_email(tokens["access_token"], NEW, WRONG), 401, "invalid-credentials")
    assert_problem(await ada.change_email(tokens["access_token"], NEW, PASSWORD), 429, "too-many-attempts")
    assert_problem(await ada.change_email("a.b.c", NEW, PASSWORD), 401, "invalid-access-token")
    assert mails.links(NEW) == []


@on_sqlite
async def test_an_address_that_cannot_be_taken_is_refused_by_its_field(ada: Client) -> None:
    tokens = await ada.sign_in()
    await ada.register(OTHER)
    for address, reason in (("nowhere", "invalid-email"), ("ADA@example.com", "unchanged")):
        refused = await ada.change_email(tokens["access_token"], address)
        assert_problem(refused, 422, "validation-error")
        assert faults(refused) == [("new_email", reason)]
    assert_problem(await ada.change_email(tokens["access_token"], OTHER), 409, "account-exists")


@on_a_lasting_database
async def test_whoever_takes_the_address_meanwhile_keeps_it_and_nothing_changes(
    verified: Client, mails: LinkMails
) -> None:
    tokens = await verified.sign_in()
    await verified.change_email(tokens["access_token"], NEW)
    approval, confirmation = await mails.token(OLD, PAGE), await mails.token(NEW, PAGE)
    assert (await verified.confirm_email(approval)).json() == {"status": "waiting"}
    assert (await verified.register(NEW)).status_code == 201
    for _ in range(2):
        assert_problem(await verified.confirm_email(confirmation), 409, "account-exists")
    assert (await verified.me(tokens["access_token"])).json()["email"] == OLD
    assert (await verified.login(OLD)).status_code == 200
