"""A login in two steps: the password leads to a challenge, and a code for it to the session."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jose import jwt

from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.behind import behind_proxy
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.gateway_places import INTERNAL_TOKEN
from tests.support.mail_server import mail_server, text_of
from tests.support.outbox import mark_verified, none_waits, to
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.stored_factors import StoredFactors
from tests.support.stored_session import StoredSession

ORIGIN = {"Origin": "https://app.example", "X-Auth-Cookie": "1"}
PROOF = ("acr", "amr", "auth_time")


@pytest.fixture
async def app(ada: Client) -> Authenticator:
    """The authenticator app of ada's account; the code of now is unused."""
    return await Authenticator.add(ada, await ada.sign_in())


def proof_in(access_token: str) -> dict[str, Any]:
    """What an access token says of the sign-in."""
    claims = jwt.get_unverified_claims(access_token)
    return {name: claims[name] for name in PROOF}


@pytest.mark.parametrize("name", [{"email": "ada@example.com"}, {"username": "ada"}], ids=["email", "username"])
async def test_a_right_password_gives_a_challenge_and_nothing_else(
    ada: Client, app: Authenticator, name: dict[str, str]
) -> None:
    before = (await ada.sessions(app.tokens["access_token"], ended=True), await ada.me(app.tokens["access_token"]))
    answer = await ada.post("/auth/login", json={**name, "password": PASSWORD})
    assert_problem(answer, 403, "second-factor-required")
    told = answer.json()
    assert told["challenge"].startswith("chl_")
    assert (told["methods"], told["expires_in"]) == (["totp", "recovery_code"], 300)
    assert not any("token" in member for member in told)
    assert "set-cookie" not in answer.headers
    sessions, account = (
        await ada.sessions(app.tokens["access_token"], ended=True),
        await ada.me(app.tokens["access_token"]),
    )
    assert (sessions, account.json()) == (before[0], before[1].json()), "not even the last login has changed"
    assert await StoredFactors(ada).spent_challenges() == []


async def test_a_wrong_password_tells_nothing_of_a_second_factor(ada: Client, app: Authenticator) -> None:
    assert_problem(await ada.login("ada@example.com", "a wrong guess, and long"), 401, "invalid-credentials")


async def test_a_code_of_the_app_opens_a_session_that_says_so_however_often_it_is_refreshed(
    ada: Client, app: Authenticator
) -> None:
    answer = await ada.second_factor(await ada.challenge(), app.code())
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    proved = proof_in(tokens["access_token"])
    assert (proved["acr"], proved["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    await StoredSession(ada, tokens).time_passes(hours=1)
    refreshed = proof_in((await ada.rotate(tokens["refresh_token"]))["access_token"])
    assert refreshed == proved | {"auth_time": proved["auth_time"] - 3600}


async def test_a_recovery_code_opens_one_too_and_is_gone(ada: Client, app: Authenticator) -> None:
    spelled = app.recovery_codes[0].lower().replace("-", " ")
    answer = await ada.second_factor(await ada.challenge(), spelled)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert (proof_in(token)["acr"], proof_in(token)["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    assert (await ada.factors(token))["recovery_codes_left"] == 9
    assert_problem(await ada.second_factor(await ada.challenge(), spelled), 401, "invalid-second-factor")


async def test_without_recovery_codes_none_is_asked_for(ada: Client, app: Authenticator) -> None:
    for code in app.recovery_codes:
        assert (await ada.second_factor(await ada.challenge(), code)).status_code == 200
    assert (await ada.login()).json()["methods"] == ["totp"]


async def test_a_code_is_good_once_and_so_is_a_challenge(ada: Client, app: Authenticator) -> None:
    first = await ada.challenge()
    assert (await ada.second_factor(first, app.code())).status_code == 200
    assert_problem(await ada.second_factor(await ada.challenge(), app.code()), 401, "invalid-second-factor")
    assert_problem(await ada.second_factor(first, app.code(1)), 401, "invalid-second-factor")
    left = (await ada.factors(app.tokens["access_token"]))["recovery_codes_left"]
    assert_problem(await ada.second_factor(first, app.recovery_codes[0]), 401, "invalid-second-factor")
    assert (await ada.factors(app.tokens["access_token"]))["recovery_codes_left"] == left, "not used up in vain"
    assert (await ada.second_factor(await ada.challenge(), app.code(1))).status_code == 200


async def test_the_code_that_confirmed_the_app_opens_no_session(ada: Client, app: Authenticator) -> None:
    assert_problem(await ada.second_factor(await ada.challenge(), app.code(-1)), 401, "invalid-second-factor")


@pytest.mark.parametrize(("seconds", "status"), [(-25, 200), (25, 200), (-65, 401), (65, 401)])
async def test_a_clock_that_is_off_by_25_seconds_passes_and_by_65_does_not(
    ada: Client, app: Authenticator, seconds: int, status: int
) -> None:
    await StoredFactors(ada).set_last_step(app.id, -10)
    challenge = await ada.challenge()
    await app.early_in_step()
    assert (await ada.second_factor(challenge, app.code_at(seconds))).status_code == status


async def test_a_clock_that_steps_back_does_not_make_a_used_code_or_challenge_good_again(
    ada: Client, app: Authenticator
) -> None:
    stored, challenge = StoredFactors(ada), await ada.challenge()
    assert (await ada.second_factor(challenge, app.recovery_codes[0])).status_code == 200
    await stored.set_last_step(app.id, 20)  # ten minutes ago, it was ten minutes later
    assert_problem(await ada.second_factor(await ada.challenge(), app.code()), 401, "invalid-second-factor")
    (kept,) = await stored.spent_challenges()
    assert kept > datetime.now(UTC) + timedelta(hours=23)
    assert_problem(await ada.second_factor(challenge, app.recovery_codes[1]), 401, "invalid-second-factor")


async def test_a_new_password_keeps_how_surely_and_when_its_owner_signed_in(ada: Client, app: Authenticator) -> None:
    tokens = (await ada.second_factor(await ada.challenge(), app.code())).json()
    await StoredSession(ada, tokens).time_passes(minutes=2)
    token = (await ada.rotate(tokens["refresh_token"]))["access_token"]
    changed = await ada.change_password(token, PASSWORD, "a long and odd one 97")
    assert proof_in(changed.raise_for_status().json()["access_token"]) == proof_in(token)


async def test_a_page_gets_the_cookie_after_the_second_step_and_not_before(make_client: MakeClient) -> None:
    client = await make_client(cookies={"enabled": True}, cors={"origins": (ORIGIN["Origin"],)})
    await client.register("ada@example.com")
    app = await Authenticator.add(client, await client.sign_in())
    asked = await client.login(headers=ORIGIN)
    assert_problem(asked, 403, "second-factor-required")
    assert "set-cookie" not in asked.headers
    answer = await client.second_factor(asked.json()["challenge"], app.code(), headers=ORIGIN)
    assert answer.headers["set-cookie"].startswith("__Host-auth-refresh=art_")
    assert "refresh_token" not in answer.json()


async def test_the_owner_is_told_of_guesses_and_of_each_recovery_code_that_was_used(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        app = await Authenticator.add(client, await client.sign_in())
        challenge = await client.challenge()
        for _ in range(5):
            assert_problem(await client.second_factor(challenge, app.wrong_code()), 401, "invalid-second-factor")
        assert (await client.second_factor(challenge, app.wrong_code())).status_code == 429
        assert (await client.second_factor(challenge, app.recovery_codes[0])).status_code == 200
        await server.wait_for(4)
        await eventually(none_waits, client)
    assert server.subjects() == [
        "An authenticator app was added to your account",
        "Confirm your e-mail address",
        "One of your recovery codes was used",
        "Somebody who knows your password tries to sign in",
    ]
    (used,) = [text_of(mail) for mail in server.mails if "recovery code" in str(mail["Subject"])]
    assert "Recovery codes that are left: 9." in used
    assert not any(code in used for code in app.recovery_codes)


async def test_both_steps_are_counted_by_what_became_of_them(make_client: MakeClient) -> None:
    client = await make_client(internal_token=INTERNAL_TOKEN)
    await client.register("ada@example.com")
    app = await Authenticator.add(client, await client.sign_in())
    challenge = await client.challenge()
    for code in (app.wrong_code(), app.code()):
        await client.second_factor(challenge, code)
    page = (await client.get("/metrics", headers={"X-Internal-Token": INTERNAL_TOKEN})).text
    for line in (
        'auth_logins_total{outcome="second_factor_required"} 1.0',
        'auth_logins_total{outcome="succeeded"} 1.0',
        'auth_second_factors_total{outcome="succeeded"} 1.0',
        'auth_second_factors_total{outcome="failed"} 1.0',
    ):
        assert line in page.splitlines()


@on_postgresql
async def test_the_second_step_takes_two_round_trips(make_client: MakeClient, database_url: str) -> None:
    with behind_proxy(database_url) as (proxy, url):
        client = await make_client(url, database={"pool_pre_ping": False}, keys={"rotation_interval": 0})
        (await client.register("ada@example.com")).raise_for_status()
        app = await Authenticator.add(client, await client.sign_in())
        costs = []
        for _ in range(5):
            challenge = await client.challenge()
            await StoredFactors(client).set_last_step(app.id, -5)
            proxy.reset_counters()
            (await client.second_factor(challenge, app.code())).raise_for_status()
            costs.append(proxy.round_trips)
    assert min(costs) == 2  # find the account and reserve, open the session with all that goes with it
