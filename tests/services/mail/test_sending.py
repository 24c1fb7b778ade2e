"""Mail on its way to a real SMTP server: encrypted or not at all, in the right form, at least once."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from auth_service.models import LINK_TOKENS, OUTGOING_MAILS
from auth_service.security.tokens.link_tokens import hash_link_token
from tests.conftest import MakeClient
from tests.support.certificates import make_certificate
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.mail_server import LOGIN, link_in, mail_server, tarpit, text_of
from tests.support.outbox import PLAIN, none_waits, rows, services_of, to
from tests.support.polling import eventually


async def was_tried(client: Client, times: int = 1) -> bool:
    return any(row.attempts >= times for row in await rows(client))


async def hash_of_link(client: Client) -> bytes:
    async with services_of(client).gauges.database.statement() as tx:
        found: bytes = (await tx.connection.execute(select(LINK_TOKENS.c.token_hash))).scalar_one()
        return found


@pytest.mark.parametrize("security", ["starttls", "tls"])
@on_postgresql
async def test_a_new_account_gets_a_mail_over_an_encrypted_and_verified_connection(
    security: str, make_client: MakeClient, tmp_path: Path
) -> None:
    tls, authority = make_certificate(tmp_path)
    login = {"username": LOGIN[0].decode(), "password": LOGIN[1].decode(), "ca_file": authority}
    async with mail_server(tls, security, login=security == "starttls") as server:
        more = login if security == "starttls" else {"ca_file": authority}
        client = await make_client(public_url="https://auth.example.com", mail=to(server, security=security, **more))
        await client.post("/auth/register", json={"email": "Ada@Example.COM", "password": "a long and odd one 97"})
        (mail,) = await server.wait_for(1)
        await eventually(none_waits, client)
    assert server.was_encrypted == [True]
    assert server.envelopes == [("no-reply@example.com", ["Ada@example.com"])]
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == (
        '"Example Ltd." <no-reply@example.com>', "Ada@example.com", "auto-generated",
    )  # fmt: skip
    assert re.fullmatch(r"<[0-9a-f-]{36}@example\.com>", mail["Message-ID"])
    assert mail["Date"]
    address, _, token = link_in(mail).partition("#token=")
    assert address == "https://auth.example.com/auth/pages/verify-email", "never of the Host header"
    assert f'href="{address}#token={token}"' in text_of(mail, "html")
    assert re.fullmatch(r"lnk_[0-9A-Z]{29}", token)
    assert "24 hours" in text_of(mail)
    assert await hash_of_link(client) == hash_link_token(token)


@pytest.mark.parametrize("attack", ["unknown authority", "other host", "STARTTLS stripped"])
@on_postgresql
async def test_a_man_in_the_middle_gets_no_mail(attack: str, make_client: MakeClient, tmp_path: Path) -> None:
    tls, authority = make_certificate(tmp_path, "127.0.0.2" if attack == "other host" else "127.0.0.1")
    mail: dict[str, Any] = {"security": "starttls"} | ({} if attack == "unknown authority" else {"ca_file": authority})
    async with mail_server(tls, "none" if attack == "STARTTLS stripped" else "starttls") as server:
        client = await make_client(mail=to(server, **mail))
        await client.register("ada@example.com")
        await eventually(was_tried, client, seconds=20)
        await eventually(was_tried, client, 2, seconds=20)
    assert (server.asked, server.mails) == (0, [])


async def test_a_mail_that_the_server_puts_off_comes_later_with_a_new_link(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    async with mail_server() as server:
        server.to_recipient = "451 greylisted"
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await eventually(was_tried, client, 2, seconds=20)
        server.to_recipient = "250 OK"
        (mail,) = await server.wait_for(1)
        await eventually(none_waits, client)
    token = link_in(mail).partition("#token=")[2]
    assert await hash_of_link(client) == hash_link_token(token)
    numbers = services_of(client).gauges.mail
    assert (numbers.sent, numbers.given_up) == (1, 0)
    assert numbers.failed >= 1
    told = capsys.readouterr().out
    assert "lnk_" not in told
    assert "ada@example.com" not in told
    assert any('"mail.not_sent"' in line and '"code":451' in line for line in told.splitlines())


@on_postgresql
async def test_a_mail_that_the_server_refuses_for_good_is_given_up(make_client: MakeClient) -> None:
    async with mail_server() as server:
        server.to_recipient = "550 no such mailbox"
        client = await make_client(mail=to(server), internal_token="an-internal-token-0123456789")
        await client.register("ada@example.com")

        async def is_given_up() -> bool:
            return services_of(client).gauges.mail.given_up == 1 and await none_waits(client)

        await eventually(is_given_up, seconds=20)
        metrics = (await client.get("/metrics", headers={"X-Internal-Token": "an-internal-token-0123456789"})).text
    assert server.asked == 1
    assert "auth_mails_given_up_total 1.0" in metrics
    assert "auth_mails_sent_total 0.0" in metrics


@on_postgresql
async def test_a_mail_whose_acceptance_was_never_heard_of_is_sent_again_with_the_same_id(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        server.die_after = 1
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        first, second = await server.wait_for(2)
        await eventually(none_waits, client)
    assert first["Message-ID"] == second["Message-ID"]
    assert link_in(first) != link_in(second)
    assert await hash_of_link(client) == hash_link_token(link_in(second).partition("#token=")[2])


@on_postgresql
async def test_a_mail_that_nobody_could_use_any_more_is_given_up(make_client: MakeClient) -> None:
    async with mail_server() as server:
        server.to_recipient = "451 later"
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await eventually(was_tried, client, seconds=20)
        (row,) = await rows(client)
        async with services_of(client).gauges.database.transaction() as tx:
            earlier = row.created_at - timedelta(hours=25)
            await tx.connection.execute(update(OUTGOING_MAILS).values(created_at=earlier))
        await eventually(none_waits, client, seconds=20)
    assert server.mails == []
    assert services_of(client).gauges.mail.given_up == 1


@on_postgresql
async def test_a_dead_mail_server_changes_no_answer_and_is_made_up_for_when_it_is_back(
    make_client: MakeClient,
) -> None:
    async with mail_server() as gone:
        pass
    client = await make_client(mail=to(gone))
    assert (await client.register("ada@example.com")).status_code == 201
    await eventually(was_tried, client, seconds=20)
    async with mail_server(port=gone.port) as server:
        await server.wait_for(1)
        await eventually(none_waits, client)


async def drip(writer: asyncio.StreamWriter) -> None:
    """Greet for ever, a line at a time, so that no single wait is long."""
    while True:
        writer.write(b"220-wait\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def say_nothing(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [drip, say_nothing])
@on_postgresql
async def test_a_tarpit_holds_up_no_answer_no_connection_and_not_the_end_of_the_service(
    answer: Any, make_client: MakeClient
) -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await answer(writer)

    async with tarpit(hold) as port:
        small = {"pool_size": 1, "max_overflow": 0}
        client = await make_client(mail=PLAIN | {"port": port, "timeout": 60}, database=small)
        for number in range(6):
            assert (await client.register(f"ada{number}@example.com")).status_code == 201

        async def is_stuck() -> bool:
            # Four mails, and the question what the server offers.
            return len(held) == 5 and services_of(client).gauges.database.numbers()["checked_out"] == 0

        await eventually(is_stuck, seconds=30)
        await client.sign_in("ada0@example.com")


async def take_a_while_for_each_step(writer: asyncio.StreamWriter) -> None:
    """Answer every command, each within the time, and all of them together not."""
    for code in (220, 250, 250, 250, 354, 250):
        await asyncio.sleep(0.3)
        writer.write(b"%d go on\r\n" % code)
        await writer.drain()


@pytest.mark.parametrize("answer", [drip, take_a_while_for_each_step])
@on_postgresql
async def test_a_tarpit_is_left_after_the_time_that_a_mail_may_take(answer: Any, make_client: MakeClient) -> None:
    async with tarpit(answer) as port:
        client = await make_client(mail=PLAIN | {"port": port, "timeout": 0.5})
        await client.register("ada@example.com")
        await eventually(was_tried, client, 2, seconds=20)


@on_postgresql
async def test_without_a_mail_server_on_postgresql_nothing_is_written(make_client: MakeClient) -> None:
    client = await make_client()
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    await client.change_password(tokens["access_token"], "the canary that this suite signs in with", "x3 long words")
    assert await rows(client) == []
    assert not services_of(client).settings.sends_mail
