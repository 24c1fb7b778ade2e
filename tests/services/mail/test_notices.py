"""Who is told of what, and what an attacker can make of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENT, MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.mail_server import link_in, mail_server, text_of
from tests.support.outbox import mark_verified, none_waits, rows, services_of, to
from tests.support.polling import eventually
from tests.support.races import Gate
from tests.support.stored_session import StoredSession

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}) Gecko/20100101 Firefox/{0}"
BEHIND = {"trusted": ("127.0.0.0/8",)}


async def sign_in_from(client: Client, agent: str, address: str) -> dict[str, Any]:
    headers = {"User-Agent": agent, "X-Forwarded-For": address}
    tokens: dict[str, Any] = (await client.login(headers=headers)).raise_for_status().json()
    return tokens


async def test_the_owner_is_told_of_a_changed_password(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        tokens = await client.sign_in()
        wrong = await client.change_password(tokens["access_token"], "wrong", "a long and odd one 97")
        assert wrong.status_code == 401
        changed = await client.change_password(tokens["access_token"], PASSWORD, "a long and odd one 97")
        assert changed.status_code == 200
        await server.wait_for(2)
        await eventually(none_waits, client)
    assert server.subjects() == ["Confirm your e-mail address", "Your password was changed"]


async def test_the_owner_is_told_of_a_copied_token_once_and_a_refresh_writes_no_mail(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        tokens = await client.sign_in()
        head = await client.rotate(tokens["refresh_token"], times=2)
        await StoredSession(client, head).time_passes(hours=1)
        for _ in range(2):
            assert (await client.refresh(tokens["refresh_token"])).status_code == 401
        await server.wait_for(2)
        await eventually(none_waits, client)
    assert server.subjects() == ["A device was signed out to protect you", "Confirm your e-mail address"]


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_the_mail_about_a_copied_token_names_who_refreshed_last_and_who_came_with_the_spent_one(
    make_client: MakeClient,
) -> None:
    """The thief refreshes first, and the owner comes after the grace: the thief's address must be in it."""
    thief = {"User-Agent": "python-requests/2.32 (Windows)", "X-Forwarded-For": "203.0.113.66"}
    owner = {"User-Agent": FIREFOX.format("140.0"), "X-Forwarded-For": "198.51.100.7"}
    async with mail_server() as server:
        client = await make_client(mail=to(server), proxy=BEHIND)
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        tokens = await sign_in_from(client, *owner.values())
        head = (await client.refresh(tokens["refresh_token"], headers=thief)).raise_for_status().json()
        await StoredSession(client, head).time_passes(seconds=35)
        assert (await client.refresh(tokens["refresh_token"], headers=owner)).status_code == 401
        await server.wait_for(2)
        await eventually(none_waits, client)
    (mail,) = [mail for mail in server.mails if mail["Subject"] == "A device was signed out to protect you"]
    for kind in ("plain", "html"):
        current, _, outdated = text_of(mail, kind).partition("outdated one was used from")
        assert [text in current for text in ("203.0.113.66", "an unknown app on Windows")] == [True, True]
        assert [text in outdated for text in ("198.51.100.7", "Firefox on Linux")] == [True, True]
        assert "thief" not in current + outdated


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_the_owner_is_told_of_a_new_device_but_not_of_the_first_nor_of_one_that_was_here(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), proxy=BEHIND)
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        await sign_in_from(client, FIREFOX.format("140.0"), "203.0.113.7")
        await sign_in_from(client, FIREFOX.format("141.2"), "203.0.113.200")  # updated, and another lease
        await server.wait_for(1)
        await eventually(none_waits, client)
        assert server.subjects() == ["Confirm your e-mail address"]
        await sign_in_from(client, FIREFOX.format("141.2"), "198.51.100.1")
        await sign_in_from(client, "curl/8.0", "203.0.113.7")
        await sign_in_from(client, "curl/8.1", "203.0.113.7")
        await sign_in_from(client, "curl/8.1", "2001:db8::1")
        await sign_in_from(client, "curl/8.1", "2001:db8::ffff")
        await server.wait_for(4)
        await eventually(none_waits, client)
    news = [text_of(mail) for mail in server.mails if mail["Subject"] == "New sign-in to your account"]
    assert sorted(re.findall(r"IP address: (\S+)", text)[0] for text in news) == [
        "198.51.100.1", "2001:db8::1", "203.0.113.7",
    ]  # fmt: skip
    assert len(server.mails) == 4


@on_postgresql
async def test_a_thief_who_signs_in_twice_at_once_is_told_of_all_the_same(
    make_client: MakeClient, database_url: str
) -> None:
    async with mail_server() as server, Gate.to(database_url) as gate:
        client = await make_client(mail=to(server), proxy=BEHIND, database=PATIENT)
        ada = (await client.register("ada@example.com")).raise_for_status().json()["id"]
        await mark_verified(client, "ada@example.com")
        await sign_in_from(client, FIREFOX.format("140.0"), "203.0.113.7")
        thief = {"User-Agent": "curl/8.0", "X-Forwarded-For": "198.51.100.1"}
        answers = await gate.race("users", ada, *(client.login(headers=thief) for _ in range(2)))
        assert [answer.status_code for answer in answers] == [200, 200]
        await eventually(none_waits, client)
    assert server.subjects() == ["Confirm your e-mail address", "New sign-in to your account"]


@on_postgresql
async def test_a_template_that_puts_what_others_say_into_the_subject_makes_no_second_header(
    make_client: MakeClient, tmp_path: Path
) -> None:
    (tmp_path / "new-device.txt").write_text(
        "Subject: {{ device }} {{ '\\r' }}Bcc: eve@evil.example{{ '\\x00\\x85' }}!\n\nHello {{ recipient }}"
    )
    async with mail_server() as server:
        client = await make_client(mail=to(server, templates=tmp_path))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        await client.sign_in()
        await client.login(headers={"User-Agent": FIREFOX.format("140.0")})
        await server.wait_for(2)
        await eventually(none_waits, client)
    (mail,) = [mail for mail in server.mails if "Firefox" in mail["Subject"]]
    assert mail["Subject"] == "Firefox on Linux Bcc: eve@evil.example !"
    assert mail["Bcc"] is None
    assert text_of(mail).strip() == "Hello ada@example.com"
    assert "<p>Device: Firefox on Linux" in text_of(mail, "html"), "ours where the operator has none"


@on_postgresql
async def test_a_mail_of_an_account_with_a_hostile_address_is_given_up_and_others_go_on(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        for recipient in ("eve@evil.example\r\nBcc: bob@example.com", "a@b,c@d.example", "x" * 300):
            await client.register(f"{len(recipient)}@example.com")
            async with services_of(client).gauges.database.transaction() as tx:
                user = await tx.users.find_by_email(f"{len(recipient)}@example.com")
                await tx.outbox.add("email-changed", user.id, recipient)
        await server.wait_for(3)
        await eventually(none_waits, client)
    assert {to for _, recipients in server.envelopes for to in recipients} == {
        "38@example.com", "15@example.com", "300@example.com",
    }  # fmt: skip
    assert services_of(client).gauges.mail.given_up == 3


async def attempt(client: Client, email: str) -> tuple[int, Any]:
    answer = await client.register(email)
    return answer.status_code, answer.json()


async def test_nobody_can_find_out_by_registering_who_has_an_account(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server), registration={"existing": "conceal"})
        first = await attempt(client, "ada@example.com")
        assert first == (202, {"status": "accepted"})
        await server.wait_for(1)
        assert await attempt(client, "Ada@example.com") == first
        await server.wait_for(2)
        await eventually(none_waits, client)
        logins = [await client.login(email) for email in ("ada@example.com", "eve@example.com")]
        assert {(answer.status_code, answer.json()["code"]) for answer in logins} == {(401, "invalid-credentials")}
        named = await client.register("bob@example.com", username="bob")
        assert named.status_code == 422
        await mark_verified(client, "ada@example.com")
        await client.sign_in()
        assert await attempt(client, "ada@example.com") == first
        await server.wait_for(3)
    assert {mail["To"] for mail in server.mails} == {"ada@example.com"}
    assert server.subjects() == ["Confirm your e-mail address"] * 2 + ["You already have an account"]
    assert link_in(server.mails[0]) != link_in(server.mails[1])


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
async def test_the_embedded_default_writes_the_link_to_its_log(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await make_client()
    await client.register("ada@example.com")
    await eventually(none_waits, client)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if '"mail.written"' in line]
    assert '"recipient":"ada@example.com"' in line
    assert '"link":"http://127.0.0.1:8000/auth/pages/verify-email#token=lnk_' in line


@on_postgresql
async def test_a_mail_to_an_address_that_nobody_has_is_dropped_in_silence(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        async with services_of(client).gauges.database.transaction() as tx:
            await tx.outbox.add("reset-password", recipient="nobody@example.com")
        await eventually(none_waits, client)
    assert server.asked == 0
    assert await rows(client) == []
