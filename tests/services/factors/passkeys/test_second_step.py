"""A passkey beside the password: at the second step of a login, and in a step-up."""

from typing import Any

import pytest
from jose import jwt

from auth_service.security.tokens.challenges import ChallengePurpose
from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.passkeys import PASSKEYS, Passkey, asked, decode, encode, second, step_up, step_up_options
from tests.support.problems import assert_problem
from tests.support.stored_factors import StoredFactors

CODE = "invalid-second-factor"


def claims_of(tokens: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.get_unverified_claims(tokens["access_token"])
    return claims


async def test_a_right_password_is_answered_with_what_the_browser_is_asked(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    told = await asked(keeper)
    assert told["methods"] == ["passkey", "recovery_code"]
    public_key = told["public_key"]
    assert decode(public_key["challenge"]).decode() == told["challenge"]
    assert public_key["userVerification"] == "required"
    (allowed,) = public_key["allowCredentials"]
    assert (allowed["id"], allowed["transports"]) == (encode(passkey.credential_id), ["internal", "hybrid"])


@pytest.mark.parametrize(("bound", "kind"), [(True, "hwk"), (False, "swk")])
async def test_a_passkey_after_the_password_opens_a_session_that_says_both(
    keeper: Client, *, bound: bool, kind: str
) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), bound=bound)
    told = await asked(keeper)
    answer = await second(keeper, told["challenge"], passkey.signed_for(told["public_key"]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(answer.json())
    assert (claims["acr"], claims["amr"]) == ("phr", ["pwd", kind, "user", "mfa"])
    assert_problem(await second(keeper, told["challenge"], passkey.signed_for(told["public_key"])), 401, CODE)


async def test_in_cookie_mode_the_refresh_token_is_in_the_cookie_alone(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, cookies={"enabled": True})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    told = await asked(client)
    page = {"X-Auth-Cookie": "1", "Origin": "http://127.0.0.1:8000"}
    answer = await second(client, told["challenge"], passkey.signed_for(told["public_key"]), headers=page)
    assert answer.status_code == 200, answer.text
    assert "refresh_token" not in answer.json()
    assert "art_" in answer.headers["set-cookie"]


async def test_exactly_one_of_code_and_credential_is_taken(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    told = await asked(keeper)
    credential = passkey.signed_for(told["public_key"])
    for body in ({}, {"code": "123456", "credential": credential}, {"credential": {**credential, "more": 1}}):
        answer = await keeper.post("/auth/login/second-factor", json={"challenge": told["challenge"], **body})
        assert_problem(answer, 422, "validation-error")


async def test_a_passkey_of_another_account_is_refused_like_any(keeper: Client) -> None:
    (await keeper.register("eve@example.com")).raise_for_status()
    adas = await Passkey.add(keeper, await keeper.sign_in())
    eves = await Passkey.add(keeper, await keeper.sign_in("eve@example.com"))
    told = await asked(keeper)
    refused = await second(keeper, told["challenge"], eves.signed_for(told["public_key"]))
    assert_problem(refused, 401, CODE)
    options = (await step_up_options(keeper, eves.tokens["access_token"])).json()
    signed = adas.signed_for(options["public_key"])
    refused = await step_up(keeper, eves.tokens["access_token"], options["challenge"], signed)
    assert_problem(refused, 401, CODE)


async def test_challenges_of_other_purposes_and_users_open_nothing(keeper: Client) -> None:
    (await keeper.register("eve@example.com")).raise_for_status()
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    await Passkey.add(keeper, await keeper.sign_in("eve@example.com"))
    stored = StoredFactors(keeper)
    wrong = [
        await stored.challenge(purpose=purpose)
        for purpose in ChallengePurpose
        if purpose is not ChallengePurpose.SECOND_FACTOR
    ]
    wrong += [await stored.challenge("eve@example.com")]
    wrong += [await stored.challenge(age=age) for age in (301.5, -30)]
    for challenge in wrong:
        signed = passkey.signed_for({"challenge": encode(challenge.encode())})
        assert_problem(await second(keeper, challenge, signed), 401, CODE)
    wrong = [
        await stored.challenge(purpose=purpose)
        for purpose in ChallengePurpose
        if purpose is not ChallengePurpose.STEP_UP
    ]
    step_up_purpose = ChallengePurpose.STEP_UP
    wrong += [
        await stored.challenge("eve@example.com", purpose=step_up_purpose),
        *[await stored.challenge(age=age, purpose=step_up_purpose) for age in (301.5, -30)],
    ]
    for challenge in wrong:
        signed = passkey.signed_for({"challenge": encode(challenge.encode())})
        answer = await step_up(keeper, passkey.tokens["access_token"], challenge, signed)
        assert_problem(answer, 401, CODE)


async def test_a_challenge_of_before_a_new_password_opens_nothing(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    told = await asked(keeper)
    options = (await step_up_options(keeper, passkey.tokens["access_token"])).json()
    changed = await keeper.change_password(passkey.tokens["access_token"], PASSWORD, "a long and odd one 97")
    token = changed.raise_for_status().json()["access_token"]
    assert_problem(await second(keeper, told["challenge"], passkey.signed_for(told["public_key"])), 401, CODE)
    late = await step_up(keeper, token, options["challenge"], passkey.signed_for(options["public_key"]))
    assert_problem(late, 401, CODE)


async def test_a_step_up_with_a_passkey_says_so_in_one_access_token_and_works_once(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    app = await Authenticator.add(keeper, passkey.tokens)
    tokens = (await keeper.second_factor(await keeper.challenge(), app.code())).raise_for_status().json()
    assert claims_of(tokens)["acr"] == "aal2"
    options = (await step_up_options(keeper, tokens["access_token"])).json()
    credential = passkey.signed_for(options["public_key"])
    answer = await step_up(keeper, tokens["access_token"], options["challenge"], credential)
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json())
    assert (claims["acr"], claims["amr"], claims["sid"]) == ("phr", ["swk", "user"], tokens["session_id"])
    again = await step_up(keeper, tokens["access_token"], options["challenge"], credential)
    assert_problem(again, 401, CODE)
    refreshed = (await keeper.refresh(tokens["refresh_token"])).raise_for_status().json()
    assert claims_of(refreshed)["acr"] == "aal2"


async def test_a_copy_is_refused_at_the_second_step_and_in_a_step_up_too(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), bound=True, sign_count=9)
    told = await asked(keeper)
    passkey.sign_count = 3
    refused = await second(keeper, told["challenge"], passkey.signed_for(told["public_key"]))
    assert_problem(refused, 401, CODE)
    options = (await step_up_options(keeper, passkey.tokens["access_token"])).json()
    passkey.sign_count = 8
    credential = passkey.signed_for(options["public_key"])
    refused = await step_up(keeper, passkey.tokens["access_token"], options["challenge"], credential)
    assert_problem(refused, 401, CODE)
    events = (await keeper.export(passkey.tokens["access_token"])).json()["events"]
    assert [event["event"] for event in events].count("passkey.counter_refused") == 2
    passkey.sign_count = 9
    credential = passkey.signed_for(options["public_key"])
    assert (await step_up(keeper, passkey.tokens["access_token"], options["challenge"], credential)).status_code == 200


async def test_an_account_without_a_passkey_has_none_to_step_up_with(keeper: Client) -> None:
    tokens = await keeper.sign_in()
    assert_problem(await step_up_options(keeper, tokens["access_token"]), 404, "not-found")


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_where_passkeys_are_not_configured_any_more_they_are_no_method(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS)
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    without = await make_client(database_url)
    told = await asked(without)
    assert (told["methods"], "public_key" in told) == (["recovery_code"], False)
    signed = passkey.signed_for({"challenge": encode(told["challenge"].encode())})
    assert_problem(await second(without, told["challenge"], signed), 401, CODE)
    tokens = (await without.second_factor(told["challenge"], passkey.recovery_codes[0])).raise_for_status().json()
    token = tokens["access_token"]
    assert_problem(await step_up_options(without, token), 404, "not-found")
    assert_problem(await step_up(without, token, told["challenge"], signed), 401, CODE)


async def test_refused_passkeys_of_whoever_knows_the_password_keep_no_good_one_out(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, throttle={"address_failures": 3})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())

    async def tried(**wrong: Any) -> int:
        told = await asked(client)
        signed = passkey.signed_for(told["public_key"], **wrong)
        answer = await second(client, told["challenge"], signed)
        return int(answer.status_code)

    seen = [await tried(origin="https://evil.example.test") for _ in range(5)]
    assert seen == [401] * 3 + [429] * 2
    assert await tried() == 200


async def test_refused_passkeys_of_a_stolen_session_keep_no_good_one_out(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, throttle={"account_failures": 3})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())

    async def tried(**wrong: Any) -> int:
        bearer = passkey.tokens["access_token"]
        options = (await step_up_options(client, bearer)).json()
        signed = passkey.signed_for(options["public_key"], **wrong)
        answer = await step_up(client, bearer, options["challenge"], signed)
        return int(answer.status_code)

    seen = [await tried(origin="https://evil.example.test") for _ in range(5)]
    assert seen == [401] * 3 + [429] * 2
    assert await tried() == 200


async def test_one_session_does_not_step_up_by_passkey_without_bound(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, throttle={"logins": 4})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    seen = []
    for _ in range(6):
        bearer = passkey.tokens["access_token"]
        options = (await step_up_options(client, bearer)).json()
        signed = passkey.signed_for(options["public_key"])
        seen.append((await step_up(client, bearer, options["challenge"], signed)).status_code)
    assert seen == [200] * 4 + [429] * 2
