"""What a user can do to a stranger's mailbox: an account needs no more than an address."""

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD
from tests.support.mail_server import link_in, mail_server
from tests.support.outbox import mark_verified, none_waits, to
from tests.support.polling import eventually

VICTIM = "ada@example.com"
AGENTS = ("curl", "wget", "httpie", "lynx", "links")
NOTICE = "New sign-in to your account"


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_mail_bombing_by_signing_in_to_an_account_in_a_strangers_name_sends_none_and_an_owner_hears_of_all(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), throttle={"links": 2})
        await client.register(VICTIM)
        await client.sign_in()
        for agent in AGENTS[:3]:
            assert (await client.login(headers={"User-Agent": agent})).status_code == 200
        await server.wait_for(1)
        await eventually(none_waits, client)
        assert server.subjects() == ["Confirm your e-mail address"]
        (confirm,) = server.mails
        await client.verify_email(link_in(confirm).partition("#token=")[2])
        for agent in AGENTS[3:]:
            assert (await client.login(headers={"User-Agent": agent})).status_code == 200
        await server.wait_for(3)
        await eventually(none_waits, client)
    assert server.subjects().count(NOTICE) == 2, "whoever has the mailbox is told each time"


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_mail_bombing_by_registering_again_and_again_ends_soon(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), throttle={"links": 2}, registration={"existing": "conceal"})
        for _ in range(5):
            assert (await client.register(VICTIM)).status_code == 202
        await eventually(none_waits, client)
        assert server.subjects() == ["Confirm your e-mail address"] * 3, "the first, and two of those again"
        await mark_verified(client, VICTIM)
        for _ in range(3):
            assert (await client.register(VICTIM)).status_code == 202
        await eventually(none_waits, client)
    assert len(server.mails) == 3


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_mail_bombing_by_many_accounts_that_want_one_address_ends_soon(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), throttle={"links": 2})
        for number in range(4):
            await client.register(f"user{number}@example.com")
            tokens = await client.sign_in(f"user{number}@example.com")
            assert (await client.change_email(tokens["access_token"], VICTIM, PASSWORD)).status_code == 202
        await eventually(none_waits, client)
    assert [recipients for _, recipients in server.envelopes].count([VICTIM]) == 2
