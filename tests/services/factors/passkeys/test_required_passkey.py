"""Where a role must have a passkey, nothing else yields a token: no password, app, recovery code, step-up or reset."""

import pytest
from jose import jwt

from auth_service.security.factors.totp import SECRET_BYTES, base32
from auth_service.security.tokens.challenges import ChallengePurpose
from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client, bearer
from tests.support.outbox import services_of
from tests.support.passkeys import (
    ENROL,
    PASSKEYS,
    REQUIRED,
    Passkey,
    add,
    asked,
    begin,
    confirm_enrolment,
    encode,
    enrolled,
    enrolment,
    second,
    step_up,
    step_up_options,
)
from tests.support.problems import assert_problem
from tests.support.stored_factors import StoredFactors

CODE = "invalid-second-factor"


@pytest.fixture
async def strict(make_client: MakeClient) -> Client:
    """A client of a service where everybody must have a passkey, and ada has none."""
    client = await make_client(**REQUIRED)
    (await client.register("ada@example.com", PASSWORD, "ada")).raise_for_status()
    return client


async def test_a_right_password_leads_to_a_passkey_alone_and_that_to_a_session(strict: Client) -> None:
    refused = await strict.login()
    assert_problem(refused, 403, ENROL)
    told = refused.json()
    assert told["methods"] == ["passkey"]
    asked_for = await enrolment(strict, told["challenge"])
    assert asked_for == await enrolment(strict, told["challenge"]), "asking twice gives the same"
    assert asked_for["authenticatorSelection"]["userVerification"] == "required"
    passkey = Passkey()
    answer = await confirm_enrolment(strict, told["challenge"], passkey.made_for(asked_for), name="My key")
    assert answer.status_code == 200, answer.text
    mine = answer.json()
    claims = jwt.get_unverified_claims(mine["access_token"])
    assert (claims["acr"], claims["amr"], len(mine["recovery_codes"])) == ("phr", ["pwd", "swk", "user", "mfa"], 10)
    (item,) = (await strict.factors(mine["access_token"]))["items"]
    assert (item["kind"], item["name"]) == ("passkey", "My key")
    assert_problem(await confirm_enrolment(strict, told["challenge"], Passkey().made_for(asked_for)), 401, CODE)
    told = await asked(strict)
    assert told["methods"] == ["passkey"]
    answer = await second(strict, told["challenge"], passkey.signed_for(told["public_key"]))
    assert answer.status_code == 200, answer.text
    assert (await passkey.sign_in(strict))["access_token"]


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_no_code_signs_in_or_steps_up_whoever_has_a_passkey(make_client: MakeClient, database_url: str) -> None:
    lax = await make_client(database_url, **PASSKEYS)
    (await lax.register("ada@example.com")).raise_for_status()
    app = await Authenticator.add(lax, await lax.sign_in())
    passkey = await Passkey.add(lax, app.tokens)
    strict = await make_client(database_url, **REQUIRED)
    assert_problem(await strict.refresh(app.tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await strict.me(app.tokens["access_token"]), 401, "invalid-access-token")
    told = await asked(strict)
    assert told["methods"] == ["passkey"]
    for code in (app.code(), app.recovery_codes[0]):
        assert_problem(await strict.second_factor(told["challenge"], code), 401, CODE)
    token = (await passkey.sign_in(strict))["access_token"]
    for proof in ({"code": app.code()}, {"code": app.recovery_codes[0]}, {"password": PASSWORD}):
        assert_problem(await strict.step_up(token, **proof), 401, CODE)
    options = (await step_up_options(strict, token)).json()
    answer = await step_up(strict, token, options["challenge"], passkey.signed_for(options["public_key"]))
    assert answer.status_code == 200, answer.text
    assert (await strict.factors(token))["recovery_codes_left"] == 10, "none was used up"
    assert_problem(await strict.remove_factor(token, passkey.id), 409, "last-credential")
    other = await Passkey.add(strict, {**app.tokens, "access_token": token})
    assert (await strict.remove_factor(token, passkey.id)).status_code == 204
    assert_problem(await strict.remove_factor(token, other.id), 409, "last-credential")
    assert (await strict.remove_factor(token, app.id)).status_code == 204


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_whoever_has_an_app_gives_a_code_before_a_passkey_is_added(
    make_client: MakeClient, database_url: str
) -> None:
    """Whoever knows the password alone could else add a passkey of their own."""
    lax = await make_client(database_url, **PASSKEYS)
    (await lax.register("ada@example.com")).raise_for_status()
    app = await Authenticator.add(lax, await lax.sign_in())
    strict = await make_client(database_url, **REQUIRED)
    told = await asked(strict)
    assert (told["methods"], "public_key" in told) == (["totp"], False)
    assert_problem(await strict.begin_login_enrolment(told["challenge"]), 401, CODE)
    signed = Passkey().made_for({"user": {"id": "AAAA"}, "challenge": encode(told["challenge"].encode())})
    assert_problem(await confirm_enrolment(strict, told["challenge"], signed), 401, CODE)
    assert_problem(await strict.second_factor(told["challenge"], app.recovery_codes[0]), 401, CODE)
    unproved = await StoredFactors(strict).challenge(purpose=ChallengePurpose.ENROLMENT)  # of the password alone
    assert_problem(await strict.begin_login_enrolment(unproved), 401, CODE)
    signed = Passkey().made_for({"user": {"id": "AAAA"}, "challenge": encode(unproved.encode())})
    assert_problem(await confirm_enrolment(strict, unproved, signed), 401, CODE)
    code = app.code()
    proved = await strict.second_factor(told["challenge"], code)
    assert_problem(proved, 403, ENROL)
    assert proved.json()["methods"] == ["passkey"]
    assert_problem(await strict.second_factor((await asked(strict))["challenge"], code), 401, CODE)
    mine = await enrolled(strict, Passkey(), proved.json()["challenge"])
    assert mine["recovery_codes"] == [], "those from before stay good"
    assert jwt.get_unverified_claims(mine["access_token"])["acr"] == "phr"
    assert (await asked(strict))["methods"] == ["passkey"]


async def test_a_code_of_an_app_confirms_nothing_where_a_passkey_is_asked_for(strict: Client) -> None:
    challenge = (await strict.login()).json()["challenge"]
    codec = services_of(strict).second_factor._challenges
    secret = codec.secret_of(codec.read(challenge, ChallengePurpose.ENROLMENT), SECRET_BYTES)
    right = Authenticator(base32(secret)).code()  # of the app that the same challenge adds where an app will do
    assert_problem(await strict.confirm_login_enrolment(challenge, right), 401, CODE)
    await enrolled(strict, Passkey(), challenge)


async def test_a_passkey_confirms_nothing_where_an_app_is_asked_for(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, factors={"required_roles": ("user", "admin")})
    (await client.register("ada@example.com")).raise_for_status()
    refused = (await client.login()).json()
    assert refused["methods"] == ["totp"]
    made = Passkey().made_for({"user": {"id": "AAAA"}, "challenge": encode(refused["challenge"].encode())})
    assert_problem(await confirm_enrolment(client, refused["challenge"], made), 401, CODE)


async def test_what_was_not_made_for_the_challenge_adds_nothing_and_tells_nothing(strict: Client) -> None:
    (await strict.register("eve@example.com")).raise_for_status()
    ada = Passkey()
    await enrolled(strict, ada)
    challenge = (await strict.login("eve@example.com")).json()["challenge"]
    public_key = await enrolment(strict, challenge)
    copied = Passkey(credential_id=ada.credential_id)
    foreign = Passkey().made_for(public_key, origin="https://evil.example.test")
    unverified = Passkey().made_for(public_key, flags=1)
    answers = [
        await confirm_enrolment(strict, challenge, made) for made in (copied.made_for(public_key), foreign, unverified)
    ]
    for answer in answers:
        assert_problem(answer, 401, CODE)
    assert len({answer.json()["detail"] for answer in answers}) == 1
    await enrolled(strict, Passkey(), challenge)


async def test_a_session_that_is_not_recent_is_told_that_only_a_passkey_will_do(make_client: MakeClient) -> None:
    client = await make_client(**REQUIRED, factors={"recent": 10})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = Passkey()
    told = await enrolled(client, passkey)
    begun = (await begin(client, told["access_token"])).raise_for_status().json()
    services_of(client).bearers._recent = -10
    refused = await begin(client, told["access_token"])
    assert_problem(refused, 401, "step-up-required")
    assert refused.json()["acr_values"] == "phr"
    late = await add(client, told["access_token"], begun, Passkey().made_for(begun["public_key"]))
    assert_problem(late, 401, "step-up-required")
    refused = await client.delete("/auth/sessions", headers=bearer(told["access_token"]))
    assert refused.json()["acr_values"] == "phr"
