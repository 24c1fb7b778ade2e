"""Adding an authenticator app: it counts once a code confirms it, and the first one ends what a password opened."""

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import Client, bearer
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def test_the_secret_is_told_once_in_both_forms_that_apps_take(ada: Client) -> None:
    tokens = await ada.sign_in()
    answer = await ada.begin_totp(tokens["access_token"])
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert set(told) == {"id", "secret", "otpauth_uri"}
    assert len(base64.b32decode(told["secret"])) == 20
    uri = urlsplit(told["otpauth_uri"])
    asked = parse_qs(uri.query)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/127.0.0.1:ada@example.com")
    assert (asked["secret"], asked["issuer"]) == ([told["secret"]], ["127.0.0.1"])
    assert set(asked) == {"secret", "issuer"}, "SHA-1, six digits and thirty seconds go without saying"


async def test_an_app_counts_once_a_code_confirms_it(ada: Client) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    assert await ada.factors(tokens["access_token"]) == {"items": [], "recovery_codes_left": 0}
    answer = await ada.confirm_totp(tokens["access_token"], app.id, app.code())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    mine = answer.json()
    listed = await ada.factors(mine["access_token"])
    (factor,) = listed["items"]
    assert listed["recovery_codes_left"] == 10
    assert set(factor) == {"id", "kind", "name", "created_at", "last_used_at"}
    assert (factor["id"], factor["kind"], factor["name"]) == (app.id, "totp", None)


async def test_the_first_factor_ends_every_session_and_opens_one_for_whoever_adds_it(ada: Client) -> None:
    asking, other = await ada.sign_in(), await ada.sign_in()
    app = await Authenticator.add(ada, asking)
    assert set(app.tokens) == set(asking)
    assert len(set(app.recovery_codes)) == 10
    for tokens in (asking, other):
        assert_problem(await ada.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")
        assert_problem(await ada.me(tokens["access_token"]), 401, "invalid-access-token")
    ended = await ada.sessions(app.tokens["access_token"], ended=True)
    assert {item["id"]: item["ended_reason"] for item in ended} == {
        app.tokens["session_id"]: None,
        asking["session_id"]: "factor_added",
        other["session_id"]: "factor_added",
    }
    assert (await ada.rotate(app.tokens["refresh_token"], times=2))["session_id"] == app.tokens["session_id"]


async def test_a_page_with_a_cookie_gets_the_new_session_in_its_cookie(make_client: MakeClient) -> None:
    client = await make_client(cookies={"enabled": True})
    (await client.register("ada@example.com")).raise_for_status()
    tokens = await client.sign_in()
    app = await Authenticator.begin(client, tokens["access_token"])
    page = {"X-Auth-Cookie": "1", "Origin": "http://127.0.0.1:8000"}
    evil = page | {"Origin": "https://evil.example"}
    refused = await client.confirm_totp(tokens["access_token"], app.id, app.code(), **evil)
    assert_problem(refused, 403, "cross-site-request")
    answer = await client.confirm_totp(tokens["access_token"], app.id, app.code(), **page)
    assert set(answer.json()) == set(tokens) - {"refresh_token"} | {"recovery_codes"}
    assert answer.headers["set-cookie"].startswith("__Host-auth-refresh=art_")


async def test_a_new_phone_replaces_the_old_one_and_the_recovery_codes_stay(ada: Client) -> None:
    """Whoever wrote them down loses none without knowing it."""
    old = await Authenticator.add(ada, await ada.sign_in())
    new = await Authenticator.add(ada, old.tokens)
    assert new.tokens == old.tokens, "nobody is signed out"
    assert new.recovery_codes == []
    listed = await ada.factors(new.tokens["access_token"])
    assert ([factor["id"] for factor in listed["items"]], listed["recovery_codes_left"]) == ([new.id], 10)


@on_a_lasting_database
async def test_a_new_phone_brings_new_recovery_codes_if_all_were_used_up(ada: Client, database_url: str) -> None:
    old = await Authenticator.add(ada, await ada.sign_in())
    await run_sql(database_url, "DELETE FROM recovery_codes")
    assert len((await Authenticator.add(ada, old.tokens)).recovery_codes) == 10


async def test_a_new_secret_replaces_the_one_that_waits(ada: Client) -> None:
    tokens = await ada.sign_in()
    first = await Authenticator.begin(ada, tokens["access_token"])
    second = await Authenticator.begin(ada, tokens["access_token"])
    assert_problem(await ada.confirm_totp(tokens["access_token"], first.id, first.code()), 404, "not-found")
    assert (await ada.confirm_totp(tokens["access_token"], second.id, second.code())).status_code == 200


@on_a_lasting_database
async def test_an_app_waits_ten_minutes_by_the_clock_of_the_database(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    await _age(database_url, 601)
    assert_problem(await ada.confirm_totp(tokens["access_token"], app.id, app.code()), 404, "not-found")
    again = await Authenticator.begin(ada, tokens["access_token"])
    await _age(database_url, 590)
    assert (await ada.confirm_totp(tokens["access_token"], again.id, again.code())).status_code == 200


async def test_nobody_confirms_the_app_of_somebody_else(ada: Client) -> None:
    (await ada.register("bob@example.com")).raise_for_status()
    mine, bobs = await ada.sign_in(), await ada.sign_in("bob@example.com")
    app = await Authenticator.begin(ada, mine["access_token"])
    assert_problem(await ada.confirm_totp(bobs["access_token"], app.id, app.code()), 404, "not-found")
    assert (await ada.confirm_totp(mine["access_token"], app.id, app.code())).status_code == 200


async def test_wrong_codes_are_refused_counted_and_noted(ada: Client) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    for code in (app.wrong_code(), app.code(-3), app.code(3), "12345", "ABCDE-FGHJK"):
        refused = await ada.confirm_totp(tokens["access_token"], app.id, code)
        assert_problem(refused, 401, "invalid-second-factor")
    limited = await ada.confirm_totp(tokens["access_token"], app.id, app.code())
    assert_problem(limited, 429, "too-many-attempts")
    events = (await ada.export(tokens["access_token"])).json()["events"]
    assert [event["event"] for event in events].count("factor.code_refused") == 5
    other = await ada.sign_in()
    assert (await ada.confirm_totp(other["access_token"], app.id, app.code())).status_code == 200


async def test_an_app_that_is_confirmed_is_not_confirmed_again(ada: Client) -> None:
    app = await Authenticator.add(ada, await ada.sign_in())
    again = await ada.confirm_totp(app.tokens["access_token"], app.id, app.code())
    assert_problem(again, 404, "not-found")


@pytest.mark.parametrize("path", ["/auth/me/totp", "/auth/me/recovery-codes"])
async def test_whoever_was_signed_out_meanwhile_changes_nothing(ada: Client, path: str) -> None:
    tokens = await ada.sign_in()
    (await ada.logout(tokens["refresh_token"])).raise_for_status()
    assert_problem(await ada.post(path, headers=bearer(tokens["access_token"])), 401, "invalid-access-token")


async def _age(url: str, seconds: int) -> None:
    """Let the factors that wait be so many seconds older."""
    then = (
        f"strftime('%Y-%m-%d %H:%M:%f', created_at, '-{seconds} seconds')"
        if url.startswith("sqlite")
        else f"created_at - interval '{seconds} seconds'"
    )
    await run_sql(url, f"UPDATE factors SET created_at = {then} WHERE confirmed_at IS NULL")
