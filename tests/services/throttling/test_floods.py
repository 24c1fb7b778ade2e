"""Floods from one network or one account: they cost nobody else an answer, and no table grows without bound."""

from collections import Counter

import pytest
from sqlalchemy import select, update

from auth_service.models import AUDIT_EVENTS, OUTGOING_MAILS
from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.mail_server import mail_server
from tests.support.outbox import none_waits, rows, services_of, to
from tests.support.polling import eventually
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, WRONG, StoredAttempts, coming_from, enter, guess

ANOTHER = "another long passphrase"
on_both = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


def in_one_48(number: int) -> str:
    """An address of a /64 of its own, and from the 256th on of another /56, in one /48."""
    return f"2001:db8:1:{number:x}::1"


async def ask_for_resets(client: Client, addresses: list[str], name: str = "user") -> Counter[int]:
    """Ask for a reset from each address, each for another account, and count the statuses."""
    answers = [
        await client.forgot_password(f"{name}{number}@example.com", headers=coming_from(address))
        for number, address in enumerate(addresses)
    ]
    return Counter(answer.status_code for answer in answers)


@on_both
async def test_300_requests_for_a_reset_from_one_ipv6_48_leave_recovery_on_for_everybody_else(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        client = await make_client(proxy=GATEWAY, mail=to(server))
        (await client.register("ada@example.com")).raise_for_status()
        seen = await ask_for_resets(client, [in_one_48(number * 16) for number in range(300)])
        assert seen == {202: 120, 429: 180}, "four times what a /64 may ask for"
        assert (await client.forgot_password(headers=coming_from(OWNER))).status_code == 202
        await server.wait_for(2)
        assert server.subjects().count("Reset your password") == 1
        await eventually(none_waits, client)


@on_both
async def test_requests_for_a_reset_from_one_ipv6_56_count_together(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(proxy=GATEWAY, mail=to(server), throttle={"address_links": 4})
        assert await ask_for_resets(client, [in_one_48(number) for number in range(10)]) == {202: 8, 429: 2}
        assert await ask_for_resets(client, [in_one_48(256 + number) for number in range(10)]) == {202: 8, 429: 2}
        assert await ask_for_resets(client, [in_one_48(512)]) == {429: 1}
        assert await ask_for_resets(client, ["2001:db8:2::1"]) == {202: 1}
        await eventually(none_waits, client)


@on_both
async def test_a_flood_of_requests_for_resets_from_everywhere_refuses_nobody_and_delays_the_mail(
    make_client: MakeClient,
) -> None:
    async with mail_server() as server:
        client = await make_client(proxy=GATEWAY, mail=to(server), throttle={"global_links": 5})
        for number in range(5):
            await client.register(f"user{number}@example.com")
        await client.register("ada@example.com")
        await server.wait_for(6)  # what confirms the addresses is of registrations, which have a limit of their own
        seen = await ask_for_resets(client, [f"198.51.100.{number}" for number in range(5)])
        assert seen == {202: 5}
        await server.wait_for(11)
        assert (await client.forgot_password(headers=coming_from(OWNER))).status_code == 202
        assert await ask_for_resets(client, [f"203.0.113.{number}" for number in range(15)], "nobody") == {202: 15}
        await eventually(_only_one_waits, client)
        assert server.subjects().count("Reset your password") == 5, "mail to nobody costs the others nothing"
        await StoredAttempts(client).time_passes(minutes=1)
        await _mail_is_due(client)
        await server.wait_for(12)
        assert server.envelopes[-1][1] == ["ada@example.com"]


async def _only_one_waits(client: Client) -> bool:
    return len(await rows(client)) == 1


async def _mail_is_due(client: Client) -> None:
    async with services_of(client).gauges.database.transaction() as tx:
        await tx.connection.execute(update(OUTGOING_MAILS).values(due_at=OUTGOING_MAILS.c.created_at))


@on_both
async def test_guesses_and_registrations_from_the_networks_of_one_ipv6_48_are_stopped(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"address_failures": 3, "registrations": 3})
    hops = [in_one_48(number * 256) for number in range(14)]
    seen = [(await guess(client, f"user{n}@example.com", hop)).status_code for n, hop in enumerate(hops)]
    assert seen == [401] * 12 + [429] * 2
    bodies = [{"email": f"user{n}@example.com", "password": PASSWORD} for n in range(14)]
    answers = [
        await client.post("/auth/register", json=body, headers=coming_from(hop))
        for body, hop in zip(bodies, hops, strict=True)
    ]
    assert [answer.status_code for answer in answers] == [201] * 12 + [429] * 2


@on_both
async def test_63_right_logins_of_one_account_in_ten_seconds_are_60(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, sessions={"max_per_user": 5})
    for email in ("ada@example.com", "bob@example.com"):
        (await client.register(email)).raise_for_status()
    seen = [(await enter(client, client_ip=f"192.0.2.{number % 3}")).status_code for number in range(63)]
    assert seen == [200] * 60 + [429] * 3
    assert 0 < int((await enter(client)).headers["retry-after"]) <= 60
    assert (await enter(client, "bob@example.com")).status_code == 200
    await StoredAttempts(client).time_passes(minutes=1)
    assert (await enter(client)).status_code == 200


@on_both
async def test_wrong_guesses_use_up_none_of_the_right_logins(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"logins": 3})
    (await client.register("ada@example.com")).raise_for_status()
    assert (await enter(client)).status_code == 200
    assert [(await guess(client)).status_code for _ in range(4)] == [401] * 4
    assert [(await enter(client)).status_code for _ in range(3)] == [200, 200, 429]


@on_both
async def test_481_renames_in_ten_seconds_are_20_and_so_are_their_lines_in_the_trail(make_client: MakeClient) -> None:
    client = await make_client()
    (await client.register("ada@example.com")).raise_for_status()
    token = (await client.sign_in())["access_token"]
    seen = Counter([(await client.rename(token, f"ada{number}")).status_code for number in range(60)])
    assert seen == {200: 20, 429: 40}
    exports = Counter([(await client.export(token)).status_code for _ in range(30)])
    assert exports == {200: 20, 429: 10}
    assert (await client.change_password(token, PASSWORD, ANOTHER)).status_code < 300, "a thief uses up no other limit"
    await StoredAttempts(client).time_passes(minutes=10)
    assert (await client.rename((await client.sign_in(password=ANOTHER))["access_token"], "lovelace")).is_success


@on_both
async def test_200_usernames_tried_by_a_signed_in_stranger_are_20_and_by_three_of_them_as_many_as_registrations(
    make_client: MakeClient,
) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"registrations": 50})
    (await client.register("ada@example.com", username="ada")).raise_for_status()
    seen: Counter[int] = Counter()
    for name in ("eve", "mal", "zoe"):
        await client.register(f"{name}@example.com")
        token = (await client.sign_in(f"{name}@example.com"))["access_token"]
        headers = {"Authorization": f"Bearer {token}", **coming_from(ATTACKER)}
        answers = [await client.patch("/auth/me", json={"username": "ada"}, headers=headers) for _ in range(25)]
        seen += Counter(answer.status_code for answer in answers)
    assert seen == {409: 50, 429: 25}


@on_both
async def test_six_wrong_guesses_with_a_stolen_access_token_leave_the_owner_able_to_change_the_password(
    make_client: MakeClient,
) -> None:
    client = await make_client(proxy=GATEWAY)
    ada = (await client.register("ada@example.com")).json()["id"]
    stolen, own = [await client.sign_in() for _ in range(2)]
    thief = stolen["access_token"]
    assert [(await client.change_password(thief, WRONG, ANOTHER)).status_code for _ in range(6)] == [401] * 5 + [429]
    stored = StoredAttempts(client)
    await stored.set("password", ada, stolen["session_id"], failures=49)
    assert (await client.change_password(thief, WRONG, ANOTHER)).status_code == 401
    assert (await client.change_password(thief, WRONG, ANOTHER)).status_code == 429
    changed = await client.change_password(own["access_token"], PASSWORD, ANOTHER)
    assert changed.is_success
    assert await stored.failures("password", ada) == 0


@on_both
async def test_guesses_with_many_stolen_sessions_end_at_a_hundred(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    ada = (await client.register("ada@example.com")).json()["id"]
    one, other = [(await client.sign_in())["access_token"] for _ in range(2)]
    await client.change_password(one, WRONG, ANOTHER)
    stored = StoredAttempts(client)
    await stored.set("password", ada, failures=99)
    assert (await client.change_password(other, WRONG, ANOTHER)).status_code == 401
    refused = await client.change_password(one, PASSWORD, ANOTHER)
    assert (refused.status_code, int(refused.headers["retry-after"]) > 3600) == (429, True)


@on_both
async def test_the_trail_grows_by_a_bounded_number_of_lines_whatever_one_account_does(make_client: MakeClient) -> None:
    client = await make_client(throttle={"logins": 5, "changes": 3})
    (await client.register("ada@example.com", username="ada")).raise_for_status()
    tokens = await client.sign_in()
    for number in range(12):
        await client.login()
        await client.login(password=WRONG)
        await client.rename(tokens["access_token"], f"ada{number}")
        await client.export(tokens["access_token"])
        changed = await client.change_password(tokens["access_token"], PASSWORD, PASSWORD)
        tokens = changed.json() if changed.is_success else tokens
        await client.change_password(tokens["access_token"], WRONG, ANOTHER)
    async with services_of(client).gauges.database.statement() as tx:
        rows = await tx.connection.execute(
            select(AUDIT_EVENTS.c.event).where(AUDIT_EVENTS.c.event != "throttle.blocked")
        )
        seen = Counter(rows.scalars())
    assert seen["login.succeeded"] <= 5
    assert (seen["account.renamed"], seen["account.exported"], seen["password.changed"]) == (3, 3, 3)
    assert seen["session.ended"] <= seen["login.succeeded"] + seen["session.opened"]
    assert seen["login.failed"] + seen["password.change_refused"] <= 2 * 12
    assert sum(seen.values()) <= 70
