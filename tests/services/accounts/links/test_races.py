"""Races for one link, forced on a real PostgreSQL: all racers wait for the owner's row before the first may go on."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.gate import gate
from tests.support.link_mails import LinkMails
from tests.support.outbox import mark_verified
from tests.support.sql import run_sql

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

ADA, ELSEWHERE = "ada@example.com", "ada@example.org"
RACERS = 20
# Each racer has a connection, and all the time that it needs: what is tested is who wins.
ROOM = {"pool_size": RACERS + 5, "pool_timeout": 2, "statement_timeout": 60}
NO_SUCH_LINK = (400, "invalid-link")


@pytest.fixture
async def client(make_client: MakeClient, mails: LinkMails) -> Client:
    return await make_client(database=ROOM, hashing={"deadline": 30}, **mails.settings)


async def race(url: str, *racers: Coroutine[Any, Any, httpx.Response]) -> list[httpx.Response]:
    async with gate(url) as held:
        await held.close("SELECT 1 FROM users FOR UPDATE")
        tasks = [asyncio.create_task(racer) for racer in racers]
        await held.wait_for(len(tasks), seconds=60)
        await held.open()
        return await asyncio.gather(*tasks)


def told(answers: list[httpx.Response]) -> Counter[tuple[int, str]]:
    return Counter((answer.status_code, answer.json()["code"] if answer.content else "") for answer in answers)


async def test_of_twenty_resets_at_once_with_one_link_exactly_one_succeeds(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await ada.forgot_password()
    token = await mails.token(ADA, "reset-password")
    news = [f"the passphrase of racer {number}" for number in range(RACERS)]
    answers = await race(database_url, *(ada.reset_password(token, new) for new in news))
    assert told(answers) == {(204, ""): 1, NO_SUCH_LINK: RACERS - 1}
    winner = next(new for new, answer in zip(news, answers, strict=True) if answer.status_code == 204)
    assert (await ada.login(password=winner)).status_code == 200
    assert await run_sql(database_url, "SELECT credential_epoch FROM users") == [(1,)]


async def test_of_twenty_verifications_at_once_with_one_link_exactly_one_succeeds(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    token, mine = await mails.token(ADA, "verify-email"), (await ada.sign_in())["access_token"]
    answers = await race(database_url, *(ada.verify_email(token, access_token=mine) for _ in range(RACERS)))
    assert told(answers) == {(204, ""): 1, NO_SUCH_LINK: RACERS - 1}


async def test_a_reset_that_waited_for_a_password_change_comes_too_late(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    tokens = await ada.sign_in()
    await mark_verified(ada, ADA)
    await ada.forgot_password()
    token = await mails.token(ADA, "reset-password")
    async with gate(database_url) as held:
        await held.close("UPDATE users SET credential_epoch = credential_epoch + 1")  # as every change of credentials
        reset = asyncio.create_task(ada.reset_password(token, "a passphrase that is new"))
        await held.wait_for(1)
        await held.open()
        assert told([await reset]) == {NO_SUCH_LINK: 1}
    assert (await ada.login(password=PASSWORD)).status_code == 200
    assert (await ada.me(tokens["access_token"])).status_code == 401


async def test_a_password_change_that_a_link_of_an_unverified_address_waits_for_stops_only_who_knew_the_old_password(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    token = await mails.token(ADA, "verify-email")
    async with gate(database_url) as held:
        await held.close("UPDATE users SET credential_epoch = credential_epoch + 1")
        by_password = asyncio.create_task(ada.verify_email(token, password=PASSWORD))
        await held.wait_for(1)
        by_mailbox = asyncio.create_task(ada.verify_email(token, new_password="a passphrase that is new"))
        await held.wait_for(2)
        await held.open()
        assert told([await by_password]) == {NO_SUCH_LINK: 1}
        assert told([await by_mailbox]) == {(204, ""): 1}
    assert (await ada.login(password="a passphrase that is new")).status_code == 200


async def test_a_user_who_is_deleted_while_resetting_is_no_fault_and_leaves_nothing(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await ada.forgot_password()
    links = [await mails.token(ADA, "verify-email"), await mails.token(ADA, "reset-password")]
    async with gate(database_url) as held:
        await held.close("DELETE FROM users")
        tasks = [
            asyncio.create_task(ada.verify_email(links[0])),
            asyncio.create_task(ada.reset_password(links[1], "a passphrase that is new")),
        ]
        await held.wait_for(2)
        await held.open()
        assert told(await asyncio.gather(*tasks)) == {NO_SUCH_LINK: 2}
    for table in ("link_tokens", "outgoing_mails", "refresh_tokens"):
        assert await run_sql(database_url, f"SELECT count(*) FROM {table}") == [(0,)]
    assert (await ada.register(ADA)).status_code == 201, "the address is free again"


async def test_two_who_want_one_address_at_once_do_not_both_get_it(
    ada: Client, mails: LinkMails, database_url: str
) -> None:
    await ada.register("grace@example.com")
    confirmations = []
    for email in (ADA, "grace@example.com"):
        tokens = await ada.sign_in(email)
        assert (await ada.change_email(tokens["access_token"], ELSEWHERE)).status_code == 202
        confirmations.append(await mails.token(ELSEWHERE, "confirm-email"))
    answers = await race(database_url, *(ada.confirm_email(token) for token in confirmations))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert await run_sql(database_url, "SELECT count(*) FROM users WHERE email = $1", ELSEWHERE) == [(1,)]
    unused = "SELECT count(*) FROM link_tokens WHERE used_at IS NULL AND purpose = 'confirm-email-change'"
    assert await run_sql(database_url, unused) == [(1,)], "nothing of the other one has changed"
