"""Whoever attacks an account cannot lock its owner out, nor sign the owner out."""

from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, enter, guess

HOME = "2001:db8:1:2::1"


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    """A client that comes from any address it likes, and the account ada@example.com."""
    client = await make_client(proxy=GATEWAY)
    (await client.register("ada@example.com")).raise_for_status()
    return client


@pytest.fixture
async def tokens(client: Client) -> dict[str, Any]:
    """A session that the owner has opened from home."""
    return dict((await enter(client, client_ip=HOME)).raise_for_status().json())


async def attack(client: Client, tokens: dict[str, Any], client_ip: str = ATTACKER) -> str:
    """Guess until the hard stop; return the id of the account."""
    ada = str((await client.me(tokens["access_token"])).json()["id"])
    await guess(client, client_ip=client_ip)
    tally = ("login", ada) if client_ip == ATTACKER else ("login", ada, client_ip)
    await StoredAttempts(client).set(*tally, failures=49)
    assert (await guess(client, client_ip=client_ip)).status_code == 401
    assert (await guess(client, client_ip=client_ip)).status_code == 429
    return ada


async def test_an_attack_delays_strangers_and_neither_the_owners_network_nor_refreshes(
    client: Client, tokens: dict[str, Any]
) -> None:
    await attack(client, tokens)
    refused = await enter(client, client_ip=OWNER)
    assert_problem(refused, 429, "too-many-attempts")
    assert int(refused.headers["retry-after"]) <= 24 * 3600, "the delay is bounded for strangers too"
    assert (await enter(client, client_ip=HOME)).status_code == 200
    assert (await enter(client, client_ip="2001:db8:1:2::cafe")).status_code == 200, "a /64 is one network"
    assert (await enter(client, client_ip="2001:db8:1:3::1")).status_code == 429
    renewed = await client.rotate(tokens["refresh_token"], times=5)
    assert (
        await client.change_password(renewed["access_token"], PASSWORD, "quite another passphrase")
    ).status_code == 200


async def test_the_owners_success_does_not_give_the_attacker_new_guesses(
    client: Client, tokens: dict[str, Any]
) -> None:
    ada = await attack(client, tokens)
    assert (await enter(client, client_ip=HOME)).status_code == 200
    assert await StoredAttempts(client).failures("login", ada) == 50
    assert (await guess(client)).status_code == 429


async def test_from_the_owners_network_it_cannot_be_guessed_without_end_either(
    client: Client, tokens: dict[str, Any]
) -> None:
    (await enter(client)).raise_for_status()
    ada = await attack(client, tokens, client_ip=OWNER)
    assert (await enter(client, client_ip=OWNER)).status_code == 429
    assert (await enter(client, client_ip=HOME)).status_code == 200
    assert (await enter(client, client_ip=ATTACKER)).status_code == 200, "strangers are counted apart"
    stored = StoredAttempts(client)
    await stored.time_passes(hours=24)
    assert (await enter(client, client_ip=OWNER)).status_code == 200
    assert await stored.failures("login", ada, OWNER) == 0


async def test_a_network_is_forgotten_ninety_days_after_the_last_login_from_it(
    client: Client, tokens: dict[str, Any]
) -> None:
    stored = StoredAttempts(client)
    await stored.time_passes(days=89)
    await attack(client, tokens)
    assert (await enter(client, client_ip=HOME)).status_code == 200
    await stored.time_passes(days=90)
    await attack(client, tokens)
    assert (await enter(client, client_ip=HOME)).status_code == 429


async def test_a_wrong_password_does_not_make_a_network_known(client: Client, tokens: dict[str, Any]) -> None:
    await attack(client, tokens)
    stored = StoredAttempts(client)
    await stored.time_passes(hours=24)
    assert (await guess(client, client_ip=ATTACKER)).status_code == 401
    assert (await guess(client, client_ip=ATTACKER)).status_code == 429


async def test_one_session_cannot_be_refreshed_without_end_and_no_other_notices(make_client: MakeClient) -> None:
    client = await make_client(throttle={"refreshes": 60})
    (await client.register("ada@example.com")).raise_for_status()
    tokens, other = await client.sign_in(), await client.sign_in()
    statuses = [200]
    while statuses[-1] == 200 and len(statuses) < 1000:
        answer = await client.refresh(tokens["refresh_token"])
        statuses.append(answer.status_code)
    assert len(statuses) > 60
    assert_problem(answer, 429, "too-many-attempts")
    assert (await client.refresh(other["refresh_token"])).status_code == 200
    assert (await client.me(tokens["access_token"])).status_code == 200

    async def works_again() -> bool:
        return (await client.refresh(tokens["refresh_token"])).status_code == 200

    await eventually(works_again)
