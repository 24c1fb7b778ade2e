"""Attacks that use our mails to bring a stranger somebody else's words: every field that others can set."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.link_mails import LinkMails
from tests.support.mail_server import text_of
from tests.support.outbox import mark_verified, none_waits, services_of
from tests.support.polling import eventually

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)

VICTIM, WORDS = "ada@example.com", "Refund waiting: https://evil.example"
NEW = "another horse, another battery"


@pytest.fixture
async def mails() -> AsyncIterator[LinkMails]:
    async with LinkMails.start() as running:
        yield running


@pytest.fixture
async def client(make_client: MakeClient, mails: LinkMails) -> Client:
    return await make_client(**mails.settings)


def told(mails: LinkMails) -> str:
    """All that was written to anybody, except for the headers that say to whom."""
    return "\n".join(f"{mail['Subject']} {text_of(mail)} {text_of(mail, 'html')}" for mail in mails.server.mails)


async def test_phishing_by_a_user_agent_reaches_nobody_and_an_owner_reads_a_name_of_ours(
    client: Client, mails: LinkMails
) -> None:
    await client.register(VICTIM)
    await mark_verified(client, VICTIM)
    await client.sign_in()
    await client.login(headers={"User-Agent": WORDS})
    assert "Device: an unknown app\r\n" in await mails.notice(VICTIM)
    await client.login(headers={"User-Agent": f"{WORDS} (Windows NT 10.0) Firefox/140.0 {WORDS}"})
    assert "Device: Firefox on Windows\r\n" in await mails.notice(VICTIM)
    assert "evil" not in told(mails)


async def test_phishing_by_a_user_agent_that_an_older_service_wrote_down_reaches_nobody(
    client: Client, mails: LinkMails
) -> None:
    await client.register(VICTIM)
    await mark_verified(client, VICTIM)
    async with services_of(client).gauges.database.transaction() as tx:
        user = await tx.users.find_by_email(VICTIM)
        parties = {"device": WORDS, "address": "192.0.2.1", "rotated_device": WORDS, "rotated_address": "192.0.2.2"}
        await tx.outbox.add("reuse-detected", user.id, **parties)
    notice = await mails.notice(VICTIM)
    for address in ("192.0.2.1", "192.0.2.2"):
        assert f"Device: an unknown app\r\nIP address: {address}\r\n" in notice
    assert "evil" not in told(mails)


async def test_spam_by_an_account_in_a_strangers_name_sends_one_mail_whatever_is_done_with_it(
    client: Client, mails: LinkMails
) -> None:
    await client.register(VICTIM, username="www.evil.example")
    await mails.token(VICTIM, "verify-email")
    tokens = await client.sign_in()
    await client.login(headers={"User-Agent": "another"})
    tokens = await password_changed(client, tokens)
    await client.change_email(tokens["access_token"], "refund.at.evil.example@example.org", NEW)
    link = await mails.token("refund.at.evil.example@example.org", "confirm-email")
    assert (await client.confirm_email(link, password=NEW)).json() == {"status": "changed"}
    await eventually(none_waits, client)
    assert [to for _, to in mails.server.envelopes].count([VICTIM]) == 1
    assert "evil" not in told(mails)


async def password_changed(client: Client, tokens: dict[str, Any]) -> dict[str, Any]:
    await client.change_password(tokens["access_token"], PASSWORD, NEW)
    return await client.sign_in(password=NEW)


async def test_words_in_the_part_of_an_address_that_its_mail_server_ignores_stay_out_of_the_text(
    client: Client, mails: LinkMails
) -> None:
    address = "ada+www.evil.example/refund@example.com"
    await client.register(address)
    await mails.token(address, "verify-email")
    await client.forgot_password(address)
    await mails.token(address, "reset-password")
    assert "evil" not in told(mails)
