"""What somebody tries who has no passkey of the account, or a copy, or only much time; each named after the attack."""

import asyncio
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from auth_service.security.tokens.challenges import ChallengePurpose, Passed
from auth_service.services.factors.passkey_login import NOBODY
from tests.conftest import PATIENT, MakeClient
from tests.support.admins import Admin
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.outbox import mark_verified, services_of
from tests.support.passkeys import PASSKEYS, Passkey, add, begin, encode, for_challenge, login, login_options, sign
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

AT_ONCE = 50
ROOM = {**PATIENT, "pool_size": 60, "max_overflow": 0}
OPTIONS_TABLES = (
    "users",
    "factors",
    "refresh_tokens",
    "spent_challenges",
    "throttles",
    "audit_events",
    "outgoing_mails",
)


def issued(client: Client, purpose: ChallengePurpose, user_id: UUID = NOBODY, epoch: int = 0, age: float = 0) -> str:
    """A challenge as the service makes it, so many seconds ago."""
    codec = services_of(client).second_factor._challenges
    at = datetime.now(UTC) - timedelta(seconds=age)
    challenge: str = codec.issue(purpose, user_id, epoch, Passed(0), at)
    return challenge


async def events(client: Client, tokens: dict[str, Any]) -> Counter[str]:
    """How often the owner's trail tells of each event."""
    told = (await client.export(tokens["access_token"])).raise_for_status().json()
    return Counter(event["event"] for event in told["events"])


@on_postgresql
async def test_one_answer_fifty_times_at_once_opens_one_session(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database_url, **PASSKEYS, throttle={"enabled": False}, database=ROOM)
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    options = (await login_options(client)).json()
    credential = passkey.signed_for(options["public_key"])
    assert passkey.sign_count == 0, "a synced one, whose counter tells nothing"
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM users FOR UPDATE")
        racers = [asyncio.create_task(login(client, options, credential)) for _ in range(AT_ONCE)]
        await held.wait_for(AT_ONCE, seconds=60)
        await held.open()
        answers = await asyncio.gather(*racers)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: AT_ONCE - 1}


@on_postgresql
async def test_a_passkey_and_its_copy_at_once_open_one_session(make_client: MakeClient, database_url: str) -> None:
    """Each has a challenge of its own, and the same counter, which only the statement compares."""
    client = await make_client(database_url, **PASSKEYS, database=PATIENT)
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in(), bound=True, sign_count=7)
    options = [(await login_options(client)).json() for _ in range(2)]
    signed = []
    for asked_for in options:
        passkey.sign_count = 7
        signed.append(passkey.signed_for(asked_for["public_key"]))
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM users FOR UPDATE")
        racers = [asyncio.create_task(login(client, *pair)) for pair in zip(options, signed, strict=True)]
        await held.wait_for(2, seconds=60)
        await held.open()
        answers = await asyncio.gather(*racers)
    assert sorted(answer.status_code for answer in answers) == [200, 401]


@on_postgresql
async def test_a_sign_in_that_is_under_way_when_the_account_changes_opens_nothing(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS, database=PATIENT)
    for number, change in enumerate((
        "UPDATE users SET is_active = false WHERE id = $1",
        "UPDATE users SET credential_epoch = credential_epoch + 1 WHERE id = $1",
        "DELETE FROM factors WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
    )):  # fmt: skip
        email = f"{number}@example.com"
        owner = UUID((await client.register(email)).raise_for_status().json()["id"])
        passkey = await Passkey.add(client, await client.sign_in(email))
        async with gate(database_url) as held:
            await held.close("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", owner)
            signing = asyncio.create_task(sign(client, passkey))
            await held.wait_for(1, seconds=60)
            await held.run(change, owner)
            await held.open()
            assert_problem(await signing, 401, "invalid-credentials")


async def test_challenges_of_other_purposes_users_and_times_open_nothing(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    owner = UUID((await keeper.me(passkey.tokens["access_token"])).json()["id"])
    others = [purpose for purpose in ChallengePurpose if purpose is not ChallengePurpose.PASSKEY_LOGIN]
    wrong = [issued(keeper, purpose, user_id, 1) for purpose in others for user_id in (NOBODY, owner)]
    wrong += [issued(keeper, ChallengePurpose.PASSKEY_LOGIN, age=age) for age in (301.5, -30)]
    good = issued(keeper, ChallengePurpose.PASSKEY_LOGIN, age=295)
    wrong.append(good[:-2] + ("AA" if not good.endswith("AA") else "BB"))
    for challenge in wrong:
        assert_problem(await sign(keeper, passkey, challenge), 401, "invalid-credentials")
    assert (await sign(keeper, passkey, good)).status_code == 200


async def test_a_passkey_is_added_by_a_challenge_of_its_own_account_and_credentials_alone(keeper: Client) -> None:
    (await keeper.register("eve@example.com")).raise_for_status()
    ada = await Passkey.add(keeper, await keeper.sign_in())
    eve = await Passkey.add(keeper, await keeper.sign_in("eve@example.com"))
    mine, theirs = ada.tokens["access_token"], eve.tokens["access_token"]
    options = (await begin(keeper, theirs)).json()
    assert_problem(
        await add(keeper, mine, options, Passkey().made_for(options["public_key"])), 400, "invalid-challenge"
    )
    before = (await begin(keeper, mine)).json()
    changed = await keeper.change_password(mine, PASSWORD, "a long and odd one 97")
    mine = changed.raise_for_status().json()["access_token"]
    assert_problem(await add(keeper, mine, before, Passkey().made_for(before["public_key"])), 400, "invalid-challenge")
    owner = UUID((await keeper.me(mine)).json()["id"])
    for challenge in (
        issued(keeper, ChallengePurpose.PASSKEY_ENROLMENT, owner, 2, age=301.5),
        issued(keeper, ChallengePurpose.STEP_UP, owner, 2),
    ):
        public_key = {**before["public_key"], **for_challenge(challenge)}
        refused = await add(keeper, mine, {"challenge": challenge}, Passkey().made_for(public_key))
        assert_problem(refused, 400, "invalid-challenge")
    good = (await begin(keeper, mine)).json()
    made = Passkey().made_for(good["public_key"])
    assert (await add(keeper, mine, good, made)).status_code == 201
    assert_problem(await add(keeper, mine, good, made), 400, "invalid-challenge")


async def test_a_bound_passkey_whose_counter_does_not_rise_is_refused_and_a_retry_alarms_nobody(
    keeper: Client,
) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), bound=True, sign_count=5)
    options = (await login_options(keeper)).json()
    credential = passkey.signed_for(options["public_key"])
    assert (await login(keeper, options, credential)).status_code == 200
    assert_problem(await login(keeper, options, credential), 401, "invalid-credentials")
    assert (await events(keeper, passkey.tokens))["passkey.counter_refused"] == 0
    for count in (4, 5):  # the signature counts one more
        passkey.sign_count = count
        assert_problem(await sign(keeper, passkey), 401, "invalid-credentials")
    assert (await events(keeper, passkey.tokens))["passkey.counter_refused"] == 2
    passkey.sign_count = 6
    assert (await sign(keeper, passkey)).status_code == 200


async def test_a_synced_passkey_whose_counter_falls_is_noted_and_signs_in(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), sign_count=5)
    passkey.sign_count = 3
    assert (await sign(keeper, passkey)).status_code == 200
    seen = await events(keeper, passkey.tokens)
    assert (seen["passkey.counter_fell"], seen["passkey.counter_refused"]) == (1, 0)


@pytest.mark.parametrize("bound", [True, False])
async def test_a_passkey_does_not_become_one_that_is_synced_or_bound(keeper: Client, *, bound: bool) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), bound=bound)
    passkey.bound = not bound
    assert_problem(await sign(keeper, passkey), 401, "invalid-credentials")
    passkey.bound = bound
    assert (await sign(keeper, passkey)).status_code == 200


async def test_a_user_handle_of_another_account_or_none_is_refused(keeper: Client) -> None:
    (await keeper.register("eve@example.com")).raise_for_status()
    ada = await Passkey.add(keeper, await keeper.sign_in())
    eve = await Passkey.add(keeper, await keeper.sign_in("eve@example.com"))
    own = ada.user_handle
    assert len(own) == 32
    for handle in (eve.user_handle, b"x", own[:-1]):
        ada.user_handle = handle
        assert_problem(await sign(keeper, ada), 401, "invalid-credentials")
    ada.user_handle = own
    challenge = (await login_options(keeper)).json()["challenge"]
    credential = ada.signed_for(for_challenge(challenge))
    del credential["response"]["userHandle"]
    assert_problem(await login(keeper, {"challenge": challenge}, credential), 401, "invalid-credentials")
    assert (await sign(keeper, ada)).status_code == 200


async def test_the_credential_id_of_another_account_is_refused_like_ones_own(keeper: Client) -> None:
    (await keeper.register("eve@example.com")).raise_for_status()
    ada = await Passkey.add(keeper, await keeper.sign_in())
    eve = await Passkey.add(keeper, await keeper.sign_in("eve@example.com"))
    told = []
    for credential_id in (ada.credential_id, eve.credential_id):
        options = (await begin(keeper, eve.tokens["access_token"])).json()
        copied = Passkey(credential_id=credential_id).made_for(options["public_key"])
        answer = await add(keeper, eve.tokens["access_token"], options, copied)
        assert_problem(answer, 409, "factor-exists")
        told.append({**answer.json(), "request_id": None})
    assert told[0] == told[1]
    assert (await sign(keeper, ada)).status_code == 200


async def test_the_passkey_of_a_disabled_or_deleted_account_opens_nothing(keeper: Client) -> None:
    admin = await Admin.of(keeper)
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    ada = (await keeper.me(passkey.tokens["access_token"])).json()["id"]
    assert (await admin.call("POST", f"/{ada}/disable")).status_code == 200
    refused = await sign(keeper, passkey)
    assert_problem(refused, 401, "invalid-credentials")
    assert "unknown_credential" not in refused.json()
    assert (await admin.call("POST", f"/{ada}/enable")).status_code == 200
    tokens = await passkey.sign_in(keeper)
    assert (await keeper.delete_account(tokens["access_token"])).status_code == 204
    gone = await sign(keeper, passkey)
    assert gone.json()["unknown_credential"] is True


async def test_an_address_that_must_be_verified_is_so_for_passkeys_too(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS)
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    services_of(client).passkeys.login._verified_only = True
    assert_problem(await sign(client, passkey), 401, "invalid-credentials")
    await mark_verified(client, "ada@example.com")
    assert (await sign(client, passkey)).status_code == 200


@on_postgresql
async def test_a_flood_of_options_writes_nothing_and_costs_no_memory(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS)
    (await client.register("ada@example.com")).raise_for_status()
    await Passkey.add(client, await client.sign_in())

    async def rows() -> list[Any]:
        counted = (f"SELECT count(*) AS rows FROM {table}" for table in OPTIONS_TABLES)
        return [await run_sql(database_url, statement) for statement in counted]

    before = await rows()
    for _ in range(50):
        (await login_options(client)).raise_for_status()
    tracemalloc.start()
    try:
        first, _ = tracemalloc.get_traced_memory()
        issued_before = {services_of(client).passkeys.login.options().challenge for _ in range(1000)}
        assert len(issued_before) == 1000
        del issued_before
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert last - first < 64 * 1024, "bytes that a thousand of them left"
    assert await rows() == before


async def test_who_has_an_account_cannot_be_seen_by_asking_for_options(keeper: Client) -> None:
    told = [(await login_options(keeper)).json() for _ in range(2)]
    await Passkey.add(keeper, await keeper.sign_in())
    told.append((await login_options(keeper)).json())
    for options in told:
        options["public_key"].pop("challenge")
        options.pop("challenge")
        assert options["public_key"].get("allowCredentials", []) == []
    assert told[0] == told[1] == told[2]


async def test_many_refused_passkeys_from_one_address_are_too_many_and_a_good_one_never_is(
    make_client: MakeClient,
) -> None:
    client = await make_client(**PASSKEYS, throttle={"address_failures": 5})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    stranger = Passkey(user_handle=b"x" * 32)
    seen = [(await sign(client, stranger)).status_code for _ in range(8)]
    assert seen == [401] * 5 + [429] * 3
    assert (await sign(client, passkey)).status_code == 200


async def test_unknown_members_are_refused_everywhere_but_in_what_the_browser_signed(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    options = (await login_options(keeper)).json()
    good = passkey.signed_for(options["public_key"], unknown={"deep": [1]})
    for wrong in (
        {**good, "more": 1},
        {**good, "response": {**good["response"], "more": 1}},
        {**good, "type": "password"},
        {**good, "rawId": good["rawId"] + "="},
    ):
        assert_problem(await login(keeper, options, wrong), 422, "validation-error")
    assert_problem(
        await keeper.post(
            "/auth/passkeys/login", json={"challenge": options["challenge"], "credential": good, "more": 1}
        ),
        422,
        "validation-error",
    )
    assert (await login(keeper, options, good)).status_code == 200


async def test_the_id_beside_the_raw_id_is_the_same(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    options = (await login_options(keeper)).json()
    good = passkey.signed_for(options["public_key"])
    answer = await login(keeper, options, {**good, "id": encode(b"another")})
    assert_problem(answer, 422, "validation-error")


async def test_in_cookie_mode_the_session_of_a_passkey_is_in_the_cookie_alone(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, cookies={"enabled": True})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    options = (await login_options(client)).json()
    credential = passkey.signed_for(options["public_key"])
    foreign = {"X-Auth-Cookie": "1", "Origin": "https://evil.example.test"}
    assert_problem(await login(client, options, credential, headers=foreign), 403, "cross-site-request")
    page = {"X-Auth-Cookie": "1", "Origin": "http://127.0.0.1:8000"}
    answer = await login(client, options, credential, headers=page)
    assert answer.status_code == 200, answer.text
    assert "refresh_token" not in answer.json()
    assert "art_" in answer.headers["set-cookie"]


async def test_a_listed_page_of_another_origin_may_use_every_route_of_passkeys(make_client: MakeClient) -> None:
    page = "https://app.example.test"
    client = await make_client(**PASSKEYS, cors={"origins": page})
    asks = {"Origin": page, "Access-Control-Request-Headers": "authorization,content-type"}
    for method, path in (
        ("POST", "/auth/passkeys/login"),
        ("PATCH", "/auth/me/passkeys/00000000-0000-0000-0000-000000000000"),
        ("DELETE", "/auth/me/password"),
        ("POST", "/auth/step-up/options"),
    ):
        answer = await client.options(path, headers={**asks, "Access-Control-Request-Method": method})
        assert answer.status_code in {200, 204}, answer.text
        assert answer.headers["access-control-allow-origin"] == page
        assert method in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_longest_transports_that_are_taken_are_stored(keeper: Client) -> None:
    tokens, passkey = await keeper.sign_in(), Passkey()
    options = (await begin(keeper, tokens["access_token"])).json()
    credential = passkey.made_for(options["public_key"])
    for length, status in ((16, 422), (15, 201)):
        credential["response"]["transports"] = [letter * length for letter in "abcdefgh"]
        assert (await add(keeper, tokens["access_token"], options, credential)).status_code == status


async def test_whoever_must_wait_for_too_many_refused_passkeys_writes_nothing_into_a_strangers_trail(
    make_client: MakeClient,
) -> None:
    client = await make_client(**PASSKEYS, throttle={"address_failures": 3})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    statuses = [(await sign(client, passkey, origin="https://evil.example.test")).status_code for _ in range(8)]
    assert statuses == [401] * 3 + [429] * 5
    assert (await events(client, passkey.tokens))["login.failed"] == 3


async def test_one_account_is_not_signed_in_to_by_passkey_without_bound(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, throttle={"logins": 4})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    statuses = [(await sign(client, passkey)).status_code for _ in range(6)]
    assert statuses == [200] * 4 + [429] * 2


async def test_an_account_has_no_more_than_twenty_factors(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, throttle={"changes": 100})
    (await client.register("ada@example.com")).raise_for_status()
    first = await Passkey.add(client, await client.sign_in())
    for _ in range(19):
        await Passkey.add(client, first.tokens)
    access_token = first.tokens["access_token"]
    options = (await begin(client, access_token)).json()
    answer = await add(client, access_token, options, Passkey().made_for(options["public_key"]))
    assert_problem(answer, 409, "too-many-factors")


@pytest.mark.parametrize("name", [" ", "\ufeff", "\x1b[2J", "a\nb", "\u202egpj"])
async def test_a_name_that_does_not_show_as_it_is_is_refused(keeper: Client, name: str) -> None:
    tokens, passkey = await keeper.sign_in(), Passkey()
    options = (await begin(keeper, tokens["access_token"])).json()
    credential = passkey.made_for(options["public_key"])
    assert_problem(await add(keeper, tokens["access_token"], options, credential, name), 422, "validation-error")
