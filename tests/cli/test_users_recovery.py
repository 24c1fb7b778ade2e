"""`auth-service users` for who is locked out: a printed link, a verified address, another one, and ended sessions."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.link_mails import LinkMails
from tests.support.operator import Operator, users
from tests.support.outbox import mark_verified
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

ADA, ELSEWHERE, MALLORY = "ada@example.com", "ada@example.org", "mallory@example.net"
NEW, NEWER = "another horse, another battery", "a third horse, a third battery"
PAGE = "http://127.0.0.1:8000/auth/pages/reset-password"
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)


@pytest.fixture
async def mails() -> AsyncIterator[LinkMails]:
    async with LinkMails.start() as running:
        yield running


@pytest.fixture
async def mailing(make_client: MakeClient, mails: LinkMails, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client for an app that sends mail, as the commands of this test know too, with the account of ada."""
    for name, value in mails.settings["mail"].items():
        monkeypatch.setenv(f"AUTH_MAIL__{name.upper()}", str(value))
    client = await make_client(mail={**mails.settings["mail"], "interval": 0.5})  # it looks for mail of others then
    (await client.register(ADA, PASSWORD, "ada")).raise_for_status()
    return client


@pytest.fixture
def beside(mailing: Client, database_url: str, tmp_path: Path) -> Operator:
    return Operator(database_url, tmp_path)


async def printed(operator: Operator, account: str = "ada", page: str = PAGE) -> str:
    """The token of a link to choose a password."""
    found, _, token = (await users(operator, "reset-password", account)).removesuffix("\n").partition("#token=")
    assert found == page
    return token


async def waiting(url: str) -> list[str]:
    """The kinds of the mails that wait."""
    return [kind for (kind,) in await run_sql(url, "SELECT kind FROM outgoing_mails ORDER BY kind")]


@on_a_lasting_database
async def test_a_printed_link_sets_a_password_once_where_no_mail_is_configured(
    ada: Client, operator: Operator, database_url: str
) -> None:
    tokens = await ada.sign_in()
    token = await printed(operator)
    stored = "SELECT token_hash FROM link_tokens WHERE purpose = 'reset-password'"
    assert await run_sql(database_url, stored) == [(hashlib.sha256(token.encode()).digest(),)]
    assert (await ada.get(PAGE)).status_code == 200
    assert (await ada.login()).status_code == 200, "nothing changes before it is used"
    assert_problem(await ada.verify_email(token), 400, "invalid-link")
    assert (await ada.reset_password(token, NEW)).status_code == 204
    assert (await ada.login()).status_code == 401
    assert (await ada.login(password=NEW)).status_code == 200
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert_problem(await ada.reset_password(token, NEWER), 400, "invalid-link")


@on_a_lasting_database
async def test_a_printed_link_to_the_default_url_is_warned_of_on_postgresql_and_is_alone_on_standard_output(
    ada: Client, operator: Operator, database_url: str
) -> None:
    assert (await ada.login()).status_code == 200, "the account is there"
    own_page = "https://accounts.example.com/reset"
    for name, url, leads_away in (("", "", False), ("AUTH_PUBLIC_URL", "https://auth.example.com", True),
                                  ("AUTH_MAIL__RESET_URL", own_page, True)):  # fmt: skip
        told = Operator(database_url, operator.folder, **({name: url} if name else {}))
        done = await asyncio.to_thread(told.run, "users", "reset-password", "ada")
        warned = [line for line in done.stderr.splitlines() if line.startswith("AUTH_PUBLIC_URL is not set: ")]
        assert len(warned) == (database_url.startswith("postgresql") and not leads_away), name
        assert len(done.stdout.splitlines()) == 1
        assert done.stdout.startswith(url or PAGE)


@on_a_lasting_database
async def test_of_two_printed_links_the_older_one_is_dead_and_a_password_change_kills_the_newer(
    ada: Client, operator: Operator
) -> None:
    tokens = await ada.sign_in()
    await mark_verified(ada, ADA, sent=False)
    older, newer = await printed(operator, ADA), await printed(operator, "ADA")
    assert_problem(await ada.reset_password(older, NEW), 400, "invalid-link")
    assert (await ada.change_password(tokens["access_token"], PASSWORD, NEW)).status_code == 200
    assert_problem(await ada.reset_password(newer, NEWER), 400, "invalid-link")


@on_postgresql
async def test_a_link_that_is_printed_during_a_change_of_the_password_is_made_for_the_new_one(
    ada: Client, operator: Operator, database_url: str
) -> None:
    async with gate(database_url) as held:
        await held.close("UPDATE users SET credential_epoch = credential_epoch + 1")
        printing = asyncio.create_task(printed(operator))
        await held.wait_for(1)
        await held.open()
        token = await printing
    assert (await ada.reset_password(token, NEW)).status_code == 204


@on_a_lasting_database
async def test_a_mailed_link_and_a_printed_one_replace_each_other(
    mailing: Client, mails: LinkMails, beside: Operator
) -> None:
    await mailing.forgot_password()
    mailed = await mails.token(ADA, "reset-password")
    by_hand = await printed(beside)
    assert_problem(await mailing.reset_password(mailed, NEW), 400, "invalid-link")
    await mailing.forgot_password()
    mailed = await mails.token(ADA, "reset-password")
    assert_problem(await mailing.reset_password(by_hand, NEW), 400, "invalid-link")
    assert (await mailing.reset_password(mailed, NEW)).status_code == 204


@on_a_lasting_database
async def test_a_mail_that_no_server_takes_does_not_replace_the_link_that_was_printed_instead(
    mailing: Client, mails: LinkMails, beside: Operator, database_url: str
) -> None:
    await mails.token(ADA, "verify-email")
    mails.server.to_recipient = "451 not now"
    await mailing.forgot_password()

    async def was_tried() -> bool:
        return bool(await run_sql(database_url, "SELECT 1 FROM link_tokens WHERE purpose = 'reset-password'"))

    await eventually(was_tried)
    token = await printed(beside)
    assert "reset-password" not in await waiting(database_url)
    assert (await mailing.reset_password(token, NEW)).status_code == 204


@on_sqlite
async def test_a_printed_link_leads_to_the_page_of_the_settings_and_its_json_tells_how_long_it_works(
    ada: Client, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH_MAIL__RESET_URL", "https://www.example.com/reset")
    await printed(operator, page="https://www.example.com/reset")
    told = json.loads(await users(operator, "reset-password", ADA, "--json"))
    link = told.pop("link")
    assert (link.partition("#")[0], told) == ("https://www.example.com/reset", {"expires_in": 900})
    assert (await ada.reset_password(link.partition("#token=")[2], NEW)).status_code == 204


@on_a_lasting_database
async def test_a_verified_address_stays_so_and_is_in_the_trail_once(ada: Client, operator: Operator) -> None:
    tokens = await ada.sign_in()
    for _ in range(2):
        assert await users(operator, "verify", "ada") == "verified\n"
    assert (await ada.me(tokens["access_token"])).json()["is_verified"] is True
    assert await by_hand(operator) == ["email.verified"]


@on_a_lasting_database
async def test_ended_sessions_are_counted_and_over_and_the_owner_signs_in_again(
    ada: Client, operator: Operator
) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    assert await users(operator, "end-sessions", ADA) == "sessions ended: 2\n"
    for tokens in (mine, other):
        assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert (await ada.login()).status_code == 200
    assert json.loads(await users(operator, "end-sessions", ADA, "--json")) == {"ended": 1}
    assert await users(operator, "end-sessions", ADA) == "sessions ended: 0\n"
    assert await by_hand(operator) == ["session.ended"] * 3


MANY = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,
    created_at, updated_at)
SELECT {id}, 'u' || n, 'u' || n, hashed_password, role, is_active, is_verified, credential_epoch, created_at, updated_at
FROM users, numbers
"""


@on_a_lasting_database
async def test_the_sessions_of_all_accounts_end_some_at_a_time_and_everybody_may_sign_in_again(
    ada: Client, operator: Operator, database_url: str
) -> None:
    tokens = await ada.sign_in()
    new_id = "gen_random_uuid()" if database_url.startswith("postgresql") else "lower(hex(randomblob(16)))"
    await run_sql(database_url, MANY.format(id=new_id))
    await users(operator, "end-sessions", "--all", given="n\n", code=1)
    assert (await ada.me(tokens["access_token"])).status_code == 200
    assert json.loads(await users(operator, "end-sessions", "--all", "--yes", "--json")) == {"accounts": 1001}
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert (await ada.me(tokens["access_token"])).status_code == 401
    assert await run_sql(database_url, "SELECT DISTINCT credential_epoch FROM users") == [(1,)]
    assert await by_hand(operator) == ["sessions.all_ended"] * 2
    assert [one["current"] for one in await ada.sessions((await ada.sign_in())["access_token"])] == [True]
    told = await users(operator, "end-sessions", "--all", "--yes")
    assert told == "sessions ended; accounts, with a session or without: 1001\n", "one of them had a session"


@on_a_lasting_database
async def test_a_changed_address_keeps_the_sessions_and_kills_every_link_of_before_for_good(
    mailing: Client, mails: LinkMails, beside: Operator
) -> None:
    tokens = await mailing.sign_in()
    links = [await mails.token(ADA, "verify-email"), await printed(beside)]
    await mailing.change_email(tokens["access_token"], MALLORY)
    links.append(await mails.token(MALLORY, "confirm-email"))
    assert await users(beside, "set-email", "ada", ELSEWHERE) == "changed; the new address is not verified\n"
    assert ELSEWHERE in await mails.notice(ADA)
    assert (await mailing.login()).status_code == 401
    account = (await mailing.me((await mailing.sign_in(ELSEWHERE))["access_token"])).json()
    assert (account["email"], account["is_verified"]) == (ELSEWHERE, False)
    assert (await mailing.refresh(tokens["refresh_token"])).status_code == 200
    assert (await mailing.verify_email(await mails.token(ELSEWHERE, "verify-email"))).status_code == 204
    await users(beside, "set-email", "ada", ADA)
    for token in links:
        for answer in (
            await mailing.verify_email(token),
            await mailing.reset_password(token, NEW),
            await mailing.confirm_email(token),
        ):
            assert_problem(answer, 400, "invalid-link")
    assert await by_hand(beside) == ["password.reset_started", "email.changed", "email.changed"]


@on_a_lasting_database
async def test_links_that_wait_for_a_mail_server_are_not_sent_after_a_change_of_address(
    mailing: Client, mails: LinkMails, beside: Operator, database_url: str
) -> None:
    tokens = await mailing.sign_in()
    mails.server.to_recipient = "451 not now"
    await mailing.change_email(tokens["access_token"], MALLORY)
    await mailing.forgot_password()
    assert "confirm-email-change" in await waiting(database_url)
    assert await users(beside, "set-email", ADA, ELSEWHERE, "--verified") == "changed; the new address is verified\n"
    assert await waiting(database_url) == ["email-changed"]
    assert json.loads(await users(beside, "show", "ada", "--json"))["is_verified"] is True


async def by_hand(operator: Operator) -> list[str]:
    """The events that are in the trail by the operator, the oldest first; none of them holds an address."""
    done = await asyncio.to_thread(operator.run, "audit", "--json")
    trail = [json.loads(line) for line in reversed(done.stdout.splitlines())]
    assert not any(address in done.stdout for address in (ADA, ELSEWHERE, MALLORY))
    return [row["event"] for row in trail if row["details"].get("actor", "").startswith("cli:")]


def test_what_cannot_be_done_is_refused_in_a_line_with_its_exit_code_and_changes_nothing(embedded: Operator) -> None:
    def refused(*words: str, code: int = 1) -> str:
        done = embedded.run("users", *words, code=code)
        assert done.stdout == ""
        return done.stderr.splitlines()[-1]

    for email in (ADA, MALLORY):
        embedded.run("users", "create", email, "--no-password")
    for word, *rest in (("reset-password",), ("verify",), ("end-sessions",), ("set-email", ELSEWHERE)):
        assert "no such user" in refused(word, "nobody@example.com", *rest)
        assert "e-mail address" in refused(word, "nobody@", *rest)
        assert "Missing argument" in refused(word, code=2)
    assert "--all" in refused("end-sessions", ADA, "--all", code=2)
    assert "Missing argument 'EMAIL'" in refused("set-email", ADA, code=2)
    assert "new_email: Must be an e-mail address" in refused("set-email", ADA, "ada")
    assert "already registered" in refused("set-email", ADA, "Mallory@EXAMPLE.net", "--verified")
    assert "already the address" in refused("set-email", ADA, "ADA@example.com")
    embedded.run("users", "disable", ADA)
    assert "disabled" in refused("reset-password", ADA)
    account = json.loads(embedded.run("users", "show", ADA, "--json").stdout)
    assert (account["email"], account["is_verified"]) == (ADA, False)
    embedded.run("users", "verify", ADA)
    embedded.run("users", "set-email", ADA, ELSEWHERE)
    assert json.loads(embedded.run("users", "show", ELSEWHERE, "--json").stdout)["is_verified"] is False
