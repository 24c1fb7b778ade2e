"""Attacks on the links of mails, by name."""

import base64
import itertools
import json
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.link_mails import LinkMails
from tests.support.outbox import mark_verified
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

ADA, ELSEWHERE, NOBODY = "ada@example.com", "ada@example.org", "nobody@example.com"
SQL = ("BEGIN", "COMMIT", "DELETE", "INSERT", "SELECT", "UPDATE", "WITH")
NEW, NEWER = "another horse, another battery", "a third horse, a third battery"


async def assert_worthless(client: Client, token: str) -> None:
    """Presented wherever a link can be, a text does nothing."""
    for answer in (
        await client.reset_password(token, NEWER),
        await client.verify_email(token),
        await client.confirm_email(token),
    ):
        assert_problem(answer, 400, "invalid-link")


@on_sqlite
async def test_a_reset_link_on_the_verify_route_and_every_other_mix_up_does_nothing(
    ada: Client, mails: LinkMails
) -> None:
    tokens = await ada.sign_in()
    verify = await mails.token(ADA, "verify-email")
    await ada.forgot_password()
    reset = await mails.token(ADA, "reset-password")
    await ada.change_email(tokens["access_token"], ELSEWHERE)
    confirm = await mails.token(ELSEWHERE, "confirm-email")
    wrong = [
        *[await ada.reset_password(token, NEW) for token in (verify, confirm, tokens["refresh_token"])],
        *[await ada.verify_email(token) for token in (reset, confirm, tokens["access_token"][:256])],
        *[await ada.confirm_email(token) for token in (reset, verify, "lnk_")],
        await ada.reset_password("A" + reset.removeprefix("lnk_"), NEW),
        await ada.reset_password(reset[:-1], NEW),
    ]
    for answer in wrong:
        assert_problem(answer, 400, "invalid-link")
    assert (await ada.verify_email(verify)).status_code == 204, "and none of them was used up by that"
    assert (await ada.reset_password(reset, NEW)).status_code == 204


@on_a_lasting_database
async def test_a_link_that_was_replayed_or_replaced_by_a_newer_one_does_nothing(ada: Client, mails: LinkMails) -> None:
    await ada.forgot_password()
    first = await mails.token(ADA, "reset-password")
    await ada.forgot_password()
    second = await mails.token(ADA, "reset-password")
    await assert_worthless(ada, first)
    assert (await ada.reset_password(second, NEW)).status_code == 204
    await assert_worthless(ada, second)
    await ada.forgot_password()
    third = await mails.token(ADA, "reset-password")
    for token in (first, second):
        await assert_worthless(ada, token)
    assert (await ada.reset_password(third, NEWER)).status_code == 204


@on_a_lasting_database
async def test_a_password_change_kills_every_link_of_before_if_the_address_is_verified(
    ada: Client, mails: LinkMails
) -> None:
    tokens = await ada.sign_in()
    await mark_verified(ada, ADA)
    await ada.forgot_password()
    links = [await mails.token(ADA, "reset-password")]
    await ada.change_email(tokens["access_token"], ELSEWHERE)
    links += [await mails.token(address, "confirm-email") for address in (ADA, ELSEWHERE)]
    assert (await ada.change_password(tokens["access_token"], PASSWORD, NEW)).status_code == 200
    for token in links:
        await assert_worthless(ada, token)
    assert (await ada.login(password=NEW)).status_code == 200


@on_sqlite
async def test_a_pending_change_to_the_attackers_address_dies_with_the_owners_reset(
    ada: Client, mails: LinkMails
) -> None:
    """Pre-hijacking by an unexpired e-mail change: whoever had the password before wants the account back later."""
    attacker = await ada.sign_in()
    await ada.change_email(attacker["access_token"], "mallory@example.org")
    waiting = await mails.token("mallory@example.org", "confirm-email")
    await ada.forgot_password()
    assert (await ada.reset_password(await mails.token(ADA, "reset-password"), NEW)).status_code == 204
    await assert_worthless(ada, waiting)
    assert (await ada.me((await ada.sign_in(password=NEW))["access_token"])).json()["email"] == ADA


@on_a_lasting_database
async def test_a_link_of_an_address_that_has_changed_does_nothing(ada: Client, mails: LinkMails) -> None:
    tokens = await ada.sign_in()
    verify = await mails.token(ADA, "verify-email")
    await ada.forgot_password()
    reset = await mails.token(ADA, "reset-password")
    await ada.change_email(tokens["access_token"], ELSEWHERE)
    changed = await ada.confirm_email(await mails.token(ELSEWHERE, "confirm-email"))
    assert changed.json() == {"status": "changed"}
    for token in (verify, reset):
        await assert_worthless(ada, token)
    assert (await ada.login(ELSEWHERE)).status_code == 200


@on_a_lasting_database
async def test_a_link_of_a_disabled_account_or_of_yesterday_does_nothing(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await ada.forgot_password()
    verify, token = await mails.token(ADA, "verify-email"), await mails.token(ADA, "reset-password")
    await run_sql(database_url, "UPDATE users SET is_active = false")
    await assert_worthless(ada, token)
    await assert_worthless(ada, verify)
    await run_sql(database_url, "UPDATE users SET is_active = true")
    ((expires_at,),) = await run_sql(
        database_url, "SELECT expires_at FROM link_tokens WHERE purpose = 'reset-password'"
    )
    await run_sql(database_url, "UPDATE link_tokens SET expires_at = created_at")
    await assert_worthless(ada, token)
    await run_sql(database_url, "UPDATE link_tokens SET expires_at = $1", expires_at)
    assert (await ada.reset_password(token, NEW)).status_code == 204


@on_postgresql
async def test_a_replayed_database_dump_has_nothing_that_works_as_a_link(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await mails.token(ADA, "verify-email")
    mails.server.to_recipient = "451 not now"
    await ada.forgot_password()
    await eventually(has_rows, database_url, "SELECT 1 FROM link_tokens WHERE purpose = 'reset-password'")
    values = await stored_values(database_url, "outgoing_mails") + await stored_values(database_url, "link_tokens")
    assert len(values) > 15
    for text in sorted({spelling for value in values for spelling in spellings(value)}):
        assert_problem(await ada.reset_password(text[:256], NEW), 400, "invalid-link")
    mails.server.to_recipient = "250 OK"
    await run_sql(database_url, "UPDATE outgoing_mails SET due_at = created_at")
    token = await mails.token(ADA, "reset-password")
    assert token not in {spelling for value in values for spelling in spellings(value)}
    assert (await ada.reset_password(token, NEW)).status_code == 204


async def has_rows(url: str, query: str) -> bool:
    return bool(await run_sql(url, query))


async def stored_values(url: str, table: str) -> list[Any]:
    return [value for row in await run_sql(url, f"SELECT * FROM {table}") for value in row if value not in (None, "")]


def spellings(value: Any) -> set[str]:
    """A value as text and its bytes in every encoding, with the beginning of a token and without."""
    data = value if isinstance(value, bytes) else value.bytes if isinstance(value, UUID) else str(value).encode()
    bare = {data.hex(), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).rstrip(b"=").decode()}
    bare |= set() if isinstance(value, bytes) else {str(value), json.dumps(value, default=str)}
    return {start + text for text in bare for start in ("", "lnk_")}


@on_sqlite
async def test_host_header_poisoning_moves_no_link(ada: Client, mails: LinkMails) -> None:
    poison = {
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "Forwarded": "host=evil.test",
        "Requester": "http://evil.test",
    }
    assert (await ada.forgot_password(headers=poison)).status_code == 202
    link = await mails.link(ADA, "reset-password")
    assert link.startswith("http://127.0.0.1:8000/auth/pages/reset-password#token=lnk_")


@on_a_lasting_database
async def test_a_user_who_is_deleted_while_using_a_link_is_no_fault(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await ada.forgot_password()
    tokens = [await mails.token(ADA, "verify-email"), await mails.token(ADA, "reset-password")]
    await run_sql(database_url, "PRAGMA foreign_keys = ON" if "sqlite" in database_url else "SELECT 1")
    await run_sql(database_url, "DELETE FROM users")
    for token in tokens:
        await assert_worthless(ada, token)
    assert (await ada.register(ADA)).status_code == 201


@on_a_lasting_database
async def test_asking_for_a_link_runs_the_same_statements_whether_anybody_has_the_address_or_not(
    make_client: MakeClient, mails: LinkMails, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await make_client(database={"echo": True}, **mails.settings)
    await client.register(ADA)
    costs = []
    for path, email in itertools.product(("/auth/forgot-password", "/auth/verify-email/resend"), (ADA, NOBODY)):
        request_id = (await client.post(path, json={"email": email})).headers["x-request-id"]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if request_id in line]
        costs.append([line["event"] for line in lines if line["event"].startswith(SQL)])
    assert len(costs[0]) >= 3
    assert costs == [costs[0]] * 4


@pytest.mark.parametrize("route", ["/auth/forgot-password", "/auth/verify-email/resend"])
@on_sqlite
async def test_enumeration_by_asking_for_a_link_tells_nothing(
    make_client: MakeClient, mails: LinkMails, database_url: str, route: str
) -> None:
    ada = await make_client(throttle={"links": 3}, **mails.settings)
    await ada.register(ADA)
    await ada.register("off@example.com")
    await run_sql(database_url, "UPDATE users SET is_active = false WHERE email_canonical = 'off@example.com'")
    for _ in range(3):
        answers = [await ada.post(route, json={"email": email}) for email in (ADA, "off@example.com", NOBODY)]
        assert [(answer.status_code, answer.content) for answer in answers] == [(202, answers[0].content)] * 3
        headers = [{**answer.headers, "x-request-id": None} for answer in answers]
        assert headers == [headers[0]] * 3
    refused = [await ada.post(route, json={"email": email}) for email in ("ADA@example.com", "off@example.com", NOBODY)]
    for answer in refused:
        assert_problem(answer, 429, "too-many-attempts")
    assert {link.partition("#")[0] for link in mails.links("off@example.com") + mails.links(NOBODY)} <= {
        "http://127.0.0.1:8000/auth/pages/verify-email"
    }


@on_sqlite
async def test_mail_bombing_from_one_address_is_stopped_whomever_it_is_for(
    make_client: MakeClient, mails: LinkMails
) -> None:
    client = await make_client(throttle={"address_links": 3}, **mails.settings)
    for number in range(3):
        assert (await client.forgot_password(f"user{number}@example.com")).status_code == 202
    assert_problem(await client.forgot_password("user3@example.com"), 429, "too-many-attempts")
    assert_problem(await client.resend_verification(NOBODY), 429, "too-many-attempts")
