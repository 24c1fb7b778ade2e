"""The links of mails for an address and for a password, as their owners meet them: read from a real mail server."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import MakeClient
from tests.support.audit import read_audit
from tests.support.client import PASSWORD, Client
from tests.support.link_mails import LinkMails
from tests.support.problems import assert_problem, faults

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

ADA = "ada@example.com"
NEW = "another horse, another battery"


@on_a_lasting_database
async def test_a_reset_sets_the_password_and_ends_every_session_and_signs_nobody_in(
    ada: Client, mails: LinkMails
) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    assert (await ada.forgot_password()).status_code == 202
    done = await ada.reset_password(await mails.token(ADA, "reset-password"), NEW)
    assert (done.status_code, done.content, "set-cookie" in done.headers) == (204, b"", False)
    for tokens in (mine, other):
        assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
        assert (await ada.me(tokens["access_token"])).status_code == 401
    assert (await ada.login()).status_code == 401
    tokens = await ada.sign_in(password=NEW)
    assert (await ada.me(tokens["access_token"])).json()["is_verified"] is True, "whoever read the mail has the address"
    assert "password" in (await mails.notice(ADA)).casefold()


@on_a_lasting_database
async def test_a_verification_link_verifies_the_address_once(ada: Client, mails: LinkMails) -> None:
    tokens = await ada.sign_in()
    assert (await ada.me(tokens["access_token"])).json()["is_verified"] is False
    token = await mails.token(ADA, "verify-email")
    assert (await ada.verify_email(token)).status_code == 204
    account = (await ada.me(tokens["access_token"])).json()
    assert account["is_verified"] is True
    assert_problem(await ada.verify_email(token), 400, "invalid-link")
    assert (await ada.me(tokens["access_token"])).json() == account, "and nobody was signed out"


@on_sqlite
async def test_the_policy_holds_for_a_reset_and_a_refused_password_leaves_the_link_good(
    ada: Client, mails: LinkMails
) -> None:
    await ada.forgot_password()
    token = await mails.token(ADA, "reset-password")
    refused = await ada.reset_password(token, "too short")
    assert_problem(refused, 422, "password-too-short")
    assert faults(refused) == [("new_password", "password-too-short")]
    assert_problem(await ada.reset_password(token, "ada@example.com1"), 422, "password-blocklisted")
    assert (await ada.reset_password(token, NEW)).status_code == 204


@on_a_lasting_database
async def test_a_reset_lets_the_owner_in_whom_guesses_had_locked_out(make_client: MakeClient, mails: LinkMails) -> None:
    ada = await make_client(throttle={"account_failures": 1}, **mails.settings)
    await ada.register(ADA)
    assert (await ada.login(password=NEW)).status_code == 401
    assert (await ada.login(password=NEW)).status_code == 429
    await ada.forgot_password()
    assert (await ada.reset_password(await mails.token(ADA, "reset-password"), NEW)).status_code == 204
    assert (await ada.login(password=NEW)).status_code == 200


@on_sqlite
async def test_a_mail_scanner_that_opens_the_link_first_uses_nothing_up(ada: Client, mails: LinkMails) -> None:
    await ada.forgot_password()
    link = await mails.link(ADA, "reset-password")
    page, _, token = link.partition("#token=")
    for method in ("GET", "HEAD", "GET"):
        assert (await ada.request(method, page)).status_code == 200
        for path in ("/auth/reset-password", "/auth/verify-email", "/auth/confirm-email"):
            seen = await ada.request(method, path, params={"token": token})
            assert (seen.status_code, seen.headers["allow"]) == (405, "OPTIONS, POST")
    assert (await ada.reset_password(token, NEW)).status_code == 204


@on_a_lasting_database
async def test_every_step_is_in_the_trail_without_an_address(
    ada: Client, mails: LinkMails, database_url: str, tmp_path: Path
) -> None:
    await ada.forgot_password()
    await ada.forgot_password("nobody@example.com")
    await ada.reset_password(await mails.token(ADA, "reset-password"), NEW)
    await ada.resend_verification("nobody@example.com")
    rows = [row for row in await read_audit(database_url, tmp_path) if "actor" not in row["details"]]
    told = [(row["event"], bool(row["user_id"]), row["details"]) for row in rows[::-1]]
    assert told == [
        ("account.registered", True, {}),
        ("link.requested", False, {"kind": "reset-password"}),
        ("link.requested", False, {"kind": "reset-password"}),
        ("link.used", True, {"purpose": "reset-password"}),
        ("password.reset", True, {}),
        ("link.requested", False, {"kind": "verify-email"}),
    ]
    assert all(row["ip"] for row in rows)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_without_a_mail_server_the_routes_that_need_one_say_so(make_client: MakeClient) -> None:
    ada = await make_client()
    await ada.register(ADA)
    tokens = await ada.sign_in()
    answers = await asyncio.gather(
        ada.forgot_password(),
        ada.resend_verification("nobody@example.com"),
        ada.change_email(tokens["access_token"], "ada@example.org", PASSWORD),
    )
    for answer in answers:
        assert_problem(answer, 503, "mail-not-configured")
