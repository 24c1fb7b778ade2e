"""What owners are told of their passkeys, and in which words."""

from typing import Any

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.link_mails import LinkMails
from tests.support.passkeys import PASSKEYS, Passkey, login, login_options
from tests.support.problems import assert_problem

EMAIL = "ada@example.com"


async def verified(make_client: MakeClient, mails: LinkMails) -> tuple[Client, dict[str, Any]]:
    """A client of a service with passkeys and mail, and the tokens of ada, who has verified her address."""
    client = await make_client(**PASSKEYS, **mails.settings)
    (await client.register(EMAIL)).raise_for_status()
    (await client.verify_email(await mails.token(EMAIL, "verify-email"))).raise_for_status()
    return client, await client.sign_in()


@on_postgresql
async def test_the_mails_about_passkeys_do_not_speak_of_apps_and_say_what_is_enough_now(
    make_client: MakeClient,
) -> None:
    async with LinkMails.start() as mails:
        client, tokens = await verified(make_client, mails)
        first = await Passkey.add(client, tokens)
        added = await mails.notice(EMAIL)
        assert "A passkey was added" in added
        assert "the password alone is not enough any more" in added
        second = await Passkey.add(client, first.tokens)
        await mails.notice(EMAIL)
        token = first.tokens["access_token"]
        assert (await client.remove_factor(token, first.id)).status_code == 204
        removed = await mails.notice(EMAIL)
        assert "A passkey was removed" in removed
        assert "You sign in with what is left" in removed
        assert (await client.remove_factor(token, second.id)).status_code == 204
        removed = await mails.notice(EMAIL)
        assert "Your password alone is now enough" in removed
    assert not [text for text in mails.server.subjects() if "app" in text]


@on_postgresql
async def test_the_owner_is_told_of_a_passkey_whose_counter_did_not_rise(make_client: MakeClient) -> None:
    async with LinkMails.start() as mails:
        client, tokens = await verified(make_client, mails)
        passkey = await Passkey.add(client, tokens, bound=True, sign_count=5)
        await mails.notice(EMAIL)
        passkey.sign_count = 4
        options = (await login_options(client)).json()
        refused = await login(client, options, passkey.signed_for(options["public_key"]))
        assert_problem(refused, 401, "invalid-credentials")
        assert "one of your passkeys was used and refused" in await mails.notice(EMAIL)
