"""Guessing at many accounts, from one address, from one network or from everywhere; and registrations."""

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, coming_from, enter, guess

FEW = {"address_failures": 6, "global_failures": 1000, "registrations": 3, "global_registrations": 1000}


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    """A client that comes from any address it likes, of a service that allows little, and the account ada."""
    client = await make_client(proxy=GATEWAY, throttle=FEW)
    (await client.register("ada@example.com")).raise_for_status()
    return client


async def spray(client: Client, number: int, address: str = ATTACKER) -> list[int]:
    """Try one password on each of so many accounts, and return the statuses."""
    return [(await guess(client, f"user{n}@example.com", address)).status_code for n in range(number)]


async def test_spraying_one_password_over_many_accounts_from_one_address_is_stopped(client: Client) -> None:
    assert await spray(client, 9) == [401] * 6 + [429] * 3
    refused = await guess(client, "somebody.else@example.com")
    assert_problem(refused, 429, "too-many-attempts")
    assert 500 < int(refused.headers["retry-after"]) <= 600
    assert (await enter(client, client_ip=ATTACKER)).status_code == 429, "the right password is not looked at"
    assert (await enter(client, client_ip=OWNER)).status_code == 200, "others are not disturbed"
    await StoredAttempts(client).time_passes(minutes=10)
    assert await spray(client, 7) == [401] * 6 + [429]


async def test_right_logins_from_one_address_are_not_failures(client: Client) -> None:
    assert [(await enter(client, client_ip=ATTACKER)).status_code for _ in range(8)] == [200] * 8
    assert await spray(client, 7) == [401] * 6 + [429]


async def test_a_forged_forwarded_for_that_changes_each_time_moves_nothing(make_client: MakeClient) -> None:
    client = await make_client(throttle=FEW)  # no proxy is trusted
    seen = [(await guess(client, f"user{n}@example.com", f"203.0.113.{n}")).status_code for n in range(9)]
    assert seen == [401] * 6 + [429] * 3


async def test_a_forged_forwarded_for_before_that_of_the_gateway_moves_nothing(client: Client) -> None:
    forged = (f"203.0.113.{n}, {ATTACKER}" for n in range(9))
    seen = [(await guess(client, f"user{n}@example.com", chain)).status_code for n, chain in enumerate(forged)]
    assert seen == [401] * 6 + [429] * 3


async def test_hopping_through_the_addresses_of_one_ipv6_network_is_stopped(client: Client) -> None:
    hops = [f"2001:db8:1:2:{n:x}::{n}" for n in range(1, 9)]
    seen = [(await guess(client, f"user{n}@example.com", hop)).status_code for n, hop in enumerate(hops)]
    assert seen == [401] * 6 + [429] * 2
    assert await spray(client, 1, "2001:db8:1:3::1") == [401], "the network beside it is another one"
    assert await spray(client, 1, "::ffff:192.0.2.66") == [401]
    assert await StoredAttempts(client).failures("logins from", ATTACKER) == 1, "IPv4 is IPv4 however it is written"


async def test_guesses_from_everywhere_are_limited_together_and_hold_up_no_known_device(
    make_client: MakeClient,
) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"global_failures": 5})
    (await client.register("ada@example.com")).raise_for_status()
    assert (await enter(client)).status_code == 200
    seen = [(await guess(client, f"user{n}@example.com", f"198.51.100.{n}")).status_code for n in range(8)]
    assert seen == [401] * 5 + [429] * 3
    assert (await enter(client, client_ip="192.0.2.2")).status_code == 429
    assert (await enter(client)).status_code == 200
    await StoredAttempts(client).time_passes(minutes=1)
    assert (await enter(client, client_ip="192.0.2.2")).status_code == 200


async def test_registrations_from_one_address_are_limited_whether_they_succeed_or_not(client: Client) -> None:
    async def register(email: str, address: str = ATTACKER) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await client.post("/auth/register", json=body, headers=coming_from(address))

    answers = [await register(f"{name}@example.com") for name in ("eve", "ada", "mal", "zoe")]
    assert [answer.status_code for answer in answers] == [201, 409, 201, 429]
    assert_problem(answers[-1], 429, "too-many-attempts")
    assert 500 < int(answers[-1].headers["retry-after"]) <= 600
    assert (await register("zoe@example.com", OWNER)).status_code == 201
    assert (await enter(client, "eve@example.com", ATTACKER)).status_code == 200, "signing in is counted apart"
    await StoredAttempts(client).time_passes(minutes=10)
    assert (await register("bob@example.com")).status_code == 201


async def test_registrations_from_everywhere_are_limited_together(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"global_registrations": 3})
    bodies = [{"email": f"user{n}@example.com", "password": PASSWORD} for n in range(5)]
    seen = [
        (await client.post("/auth/register", json=body, headers=coming_from(f"198.51.100.{n}"))).status_code
        for n, body in enumerate(bodies)
    ]
    assert seen == [201] * 3 + [429] * 2


async def test_a_registration_that_the_policy_refuses_costs_nothing(client: Client) -> None:
    for _ in range(5):
        assert (await client.register("bob@example.com", "short")).status_code == 422
    assert (await client.register("bob@example.com")).status_code == 201
