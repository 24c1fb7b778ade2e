"""A sign-in with a passkey alone."""

from typing import Any

from jose import jwt
from structlog.testing import capture_logs

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.passkeys import ORIGIN, PASSKEYS, Passkey, begin, login, login_options
from tests.support.problems import assert_problem


async def test_a_passkey_signs_in_alone_and_the_token_says_so(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    options = (await login_options(keeper)).json()
    answer = await login(keeper, options, passkey.signed_for(options["public_key"]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.get_unverified_claims(answer.json()["access_token"])
    assert (claims["acr"], claims["amr"]) == ("phr", ["swk", "user"])


async def test_the_first_passkey_gives_recovery_codes_and_a_new_session(keeper: Client) -> None:
    before = await keeper.sign_in()
    passkey = await Passkey.add(keeper, before)
    assert len(set(passkey.recovery_codes)) == 10
    assert_problem(await keeper.refresh(before["refresh_token"]), 401, "invalid-refresh-token")
    listed = await keeper.factors(passkey.tokens["access_token"])
    (item,) = listed["items"]
    assert (item["kind"], item["backup_eligible"], item["transports"]) == ("passkey", True, ["internal", "hybrid"])
    assert listed["accepted_credentials"]["credential_ids"] == [item["credential_id"]]


async def test_the_session_of_a_passkey_is_refreshed_retried_and_ended_like_any(make_client: MakeClient) -> None:
    client = await make_client(**PASSKEYS, tokens={"refresh_grace": 0})
    (await client.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(client, await client.sign_in())
    opened, lost = await passkey.sign_in(client), await passkey.sign_in(client)
    answers = [await client.refresh(opened["refresh_token"], "once") for _ in range(2)]
    told, again = (answer.raise_for_status().json() for answer in answers)
    assert told["refresh_token"] == again["refresh_token"]
    claims = [jwt.get_unverified_claims(tokens["access_token"]) for tokens in (opened, told)]
    assert [(claim["acr"], claim["amr"]) for claim in claims] == [("phr", ["swk", "user"])] * 2
    assert claims[0]["auth_time"] == claims[1]["auth_time"]
    await client.logout(told["refresh_token"])
    assert_problem(await client.me(told["access_token"]), 401, "invalid-access-token")
    own = passkey.tokens["access_token"]
    (await client.change_password(own, PASSWORD, "a long and odd one 97")).raise_for_status()
    assert_problem(await client.refresh(lost["refresh_token"]), 401, "invalid-refresh-token")
    await passkey.sign_in(client)


async def test_a_challenge_works_once_and_the_same_answer_never_again(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    options = (await login_options(keeper)).json()
    credential = passkey.signed_for(options["public_key"])
    assert (await login(keeper, options, credential)).status_code == 200
    assert_problem(await login(keeper, options, credential), 401, "invalid-credentials")


async def test_a_passkey_that_is_not_known_is_said_to_be(keeper: Client) -> None:
    options = (await login_options(keeper)).json()
    stranger = Passkey(user_handle=b"x" * 32)
    answer = await login(keeper, options, stranger.signed_for(options["public_key"]))
    assert_problem(answer, 401, "invalid-credentials")
    assert answer.json()["unknown_credential"] is True


async def test_another_origin_is_refused_and_the_log_names_it(
    keeper: Client,
) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    options = (await login_options(keeper)).json()
    signed = passkey.signed_for(options["public_key"], origin="https://evil.example.test")
    with capture_logs() as logged:
        assert_problem(await login(keeper, options, signed), 401, "invalid-credentials")
    assert ORIGIN != "https://evil.example.test"
    (told,) = [line for line in logged if line["event"] == "passkey.refused"]
    assert (told["because"], told["origin"]) == ("an origin that is not listed", "https://evil.example.test")


async def test_without_a_relying_party_there_are_no_passkeys(ada: Client) -> None:
    tokens: dict[str, Any] = await ada.sign_in()
    for answer in (await login_options(ada), await begin(ada, tokens["access_token"])):
        assert_problem(answer, 404, "not-found")
    assert_problem(await ada.get("/.well-known/webauthn"), 404, "not-found")
