"""Addresses with letters outside ASCII before the @: they get their mail, or are refused where none could get there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.accounts_files import lines, report
from tests.support.admins import Admin
from tests.support.client import Client
from tests.support.mail_server import MailServer, link_in, mail_server
from tests.support.operator import Operator
from tests.support.outbox import PLAIN, none_waits, services_of, to
from tests.support.polling import eventually
from tests.support.problems import assert_problem

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
OF_NAMES = ["\u00e9@example.com", "wei\u00df@example.com", "\u0935\u093f\u0915\u094d\u0930\u092e@example.com"]
OF_DOMAINS = {
    "ada@b\u00fccher.example": "ada@xn--bcher-kva.example",
    "ada@fa\u00df.example": "ada@xn--fa-hia.example",
}
REASON = "Our mail server takes no addresses with letters such as"


async def knows(client: Client, answer: object) -> None:
    """Wait until the service has heard what its mail server offers."""

    async def has_heard() -> bool:
        return services_of(client).registration._addresses._sends_utf8() is answer

    await eventually(has_heard)


@in_memory
async def test_a_mail_to_letters_of_any_script_arrives(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), throttle={"enabled": False})
        for email in (*OF_NAMES, *OF_DOMAINS):
            assert (await client.register(email)).status_code == 201
        mails = await server.wait_for(len(OF_NAMES) + len(OF_DOMAINS))
        await eventually(none_waits, client)
    recipients = {*OF_NAMES, *OF_DOMAINS.values()}
    assert {recipient for _, (recipient,) in server.envelopes} == recipients
    assert {str(mail["To"]).replace('"', "") for mail in mails} == recipients
    assert all("#token=" in link_in(mail) for mail in mails)


@in_memory
async def test_where_the_server_offers_no_smtputf8_the_address_is_refused_and_the_reason_is_true(
    make_client: MakeClient,
) -> None:
    async with mail_server(utf8=False) as server:
        client = await make_client(mail=to(server), throttle={"enabled": False})
        await knows(client, False)
        admin = await Admin.of(client)
        user_id = (await client.register("grace@example.com")).json()["id"]
        token = (await client.sign_in("grace@example.com"))["access_token"]
        for email in OF_NAMES:
            for refused in (
                await client.register(email),
                await client.change_email(token, email),
                await admin.call("POST", json={"email": email}),
                await admin.call("POST", f"/{user_id}/email", json={"email": email}),
            ):
                assert_problem(refused, 422, "validation-error")
                assert REASON in refused.text
        for email in OF_DOMAINS:
            assert (await client.register(email)).status_code == 201
        await server.wait_for(2 + len(OF_DOMAINS))
        await eventually(none_waits, client)
    assert services_of(client).gauges.mail.given_up == 0


@in_memory
async def test_while_nobody_knows_what_the_server_offers_the_address_is_taken_at_once_and_the_mail_comes_later(
    make_client: MakeClient,
) -> None:
    async with mail_server() as gone:
        pass
    client = await make_client(mail=to(gone))
    async with asyncio.timeout(5):
        assert (await client.register(OF_NAMES[0])).status_code == 201
    async with mail_server(port=gone.port) as server:
        await server.wait_for(1)
        await knows(client, True)


@in_memory
async def test_a_server_that_is_replaced_is_heard_of_with_the_next_mail(make_client: MakeClient) -> None:
    async with mail_server(utf8=False) as old:
        client = await make_client(mail=to(old))
        await knows(client, False)
    async with mail_server(port=old.port) as server:
        await client.register("ada@example.com")
        await server.wait_for(1)
        await knows(client, True)
        assert (await client.register(OF_NAMES[0])).status_code == 201


@in_memory
async def test_without_a_mail_server_nobody_is_refused_for_one(client: Client) -> None:
    assert (await client.register(OF_NAMES[0])).status_code == 201


def environment_of(server: MailServer) -> dict[str, Any]:
    return {f"AUTH_MAIL__{name.upper()}": str(value) for name, value in (PLAIN | {"port": server.port}).items()}


async def test_operators_and_imports_ask_the_server(tmp_path: Path) -> None:
    async with mail_server(utf8=False) as server:
        operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path, **environment_of(server))
        run = operator.run
        await asyncio.to_thread(run, "migrate")
        email = OF_NAMES[0]
        refused = await asyncio.to_thread(run, "users", "create", email, "--no-password", code=1)
        assert REASON in refused.stderr
        await asyncio.to_thread(run, "users", "create", "ada@example.com", "--no-password")
        refused = await asyncio.to_thread(run, "users", "set-email", "ada@example.com", email, code=1)
        assert REASON in refused.stderr
        file = operator.write("in.jsonl", lines({"email": email}, {"email": "c@b\u00fccher.example"}))
        found = await asyncio.to_thread(report, operator, file, code=1)
        assert (found["imported"], found["refused"]) == (1, 1)
        told = (await asyncio.to_thread(run, "doctor", code=1)).output
        assert "without SMTPUTF8" in told
