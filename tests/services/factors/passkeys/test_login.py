"""A sign-in with a passkey alone."""

from typing import Any

from jose import jwt
from structlog.testing import capture_logs

from tests.support.client import Client
from tests.support.passkeys import ORIGIN, Passkey, begin, login, login_options
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
