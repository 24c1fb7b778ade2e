"""Whoever knows the password and has no code: challenges of other kinds, wrong codes by the thousand, other ways in."""

import asyncio
import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from auth_service.security.tokens.challenges import ChallengePurpose
from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.document import document
from tests.support.link_mails import LinkMails
from tests.support.problems import assert_problem
from tests.support.sql import run_sql
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, coming_from, enter
from tests.support.stored_factors import StoredFactors

NEW_PASSWORD = "a long and odd one 97"
SESSION = """
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
    expires_at, acr)
SELECT {id}, id, credential_epoch, {hash}, 0, {none}, {now}, {now}, {now}, {acr} FROM users
"""
# Each operation that gives tokens, and how it asks whoever has a second factor for that.
GIVING_TOKENS = {
    "POST /auth/login": "gives them only to an account without one",
    "POST /auth/login/second-factor": "asks for it",
    "POST /auth/login/enrol/confirm": "it is the factor that it adds, to an account that has none",
    "POST /auth/me/totp/{factor_id}/confirm": "it is the factor that it adds",
    "POST /auth/me/passkeys": "it is the factor that it adds",
    "POST /auth/passkeys/login": "it is the factor, and the first one too",
    "POST /auth/me/password": "opens a session with the proof of the one that asks",
    "POST /auth/refresh": "goes on with a session",
    "POST /auth/step-up": "goes on with a session",
}


async def two_accounts(client: Client) -> tuple[Authenticator, Authenticator]:
    """The apps of ada's account and of grace's."""
    apps = []
    for name in ("ada", "grace"):
        (await client.register(f"{name}@example.com")).raise_for_status()
        apps.append(await Authenticator.add(client, await client.sign_in(f"{name}@example.com")))
    return apps[0], apps[1]


def said(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that an answer tells, but for its id and when it was given."""
    request_id = answer.headers["x-request-id"]
    headers = [(name, value) for name, value in answer.headers.items() if name not in {"x-request-id", "date"}]
    return answer.status_code, answer.content.replace(request_id.encode(), b"ID"), headers


async def test_whatever_is_wrong_with_a_challenge_is_told_like_a_wrong_code(client: Client) -> None:
    ada, grace = await two_accounts(client)
    stored = StoredFactors(client)
    good = await client.challenge()
    wrong = await client.second_factor(good, ada.wrong_code())
    assert_problem(wrong, 401, "invalid-second-factor")
    old_epoch, spent = await client.challenge(), await client.challenge()
    (await client.second_factor(spent, ada.recovery_codes[0])).raise_for_status()
    token = (await client.second_factor(await client.challenge(), ada.recovery_codes[1])).json()["access_token"]
    (await client.change_password(token, PASSWORD, NEW_PASSWORD)).raise_for_status()
    attacks = {
        "another user's": await client.challenge("grace@example.com"),
        "of another purpose": await stored.challenge(purpose=ChallengePurpose.ENROLMENT),
        "of the password before": old_epoch,
        "of 301 seconds ago": await stored.challenge(age=301.5),
        "of a time to come": await stored.challenge(age=-30),
        "used": spent,
        "forged": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "malformed": "chl_" + base64.urlsafe_b64encode(b"x").decode(),
        "something else": "art_" + good[4:],
    }
    for code in (ada.code(), ada.recovery_codes[2]):
        answers = {name: said(await client.second_factor(challenge, code)) for name, challenge in attacks.items()}
        assert answers == dict.fromkeys(attacks, said(wrong))
    assert said(await client.second_factor(await stored.challenge(), "no code")) == said(wrong)
    assert (await client.factors(grace.tokens["access_token"]))["recovery_codes_left"] == 10
    answer = await client.second_factor(await stored.challenge(age=295), ada.recovery_codes[2])
    assert answer.status_code == 200, "a challenge of nearly five minutes, and a code that nothing has used up"


async def test_a_challenge_that_we_did_not_make_costs_no_statement_that_counts(client: Client) -> None:
    ada, _ = await two_accounts(client)
    stored, counts = StoredFactors(client), StoredAttempts(client)
    before = await counts.rows()
    for challenge in ("chl_", "nothing", await stored.challenge(age=301.5)):
        assert (await client.second_factor(challenge, ada.wrong_code())).status_code == 401
    assert await counts.rows() == before


@on_postgresql
async def test_a_thousand_wrong_codes_get_no_more_looks_than_the_tally_allows_and_end_nobodys_session(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, proxy=GATEWAY, throttle={"address_failures": 10_000})
    ada, _ = await two_accounts(client)
    challenges = [await client.challenge() for _ in range(20)]
    assert_problem(await client.second_factor(challenges[0], ada.wrong_code()), 401, "invalid-second-factor")
    started = asyncio.get_running_loop().time()
    looks: Counter[int] = Counter()
    for number in range(1000):
        thief = coming_from(f"198.51.{number % 100}.{number // 100 + 1}")
        codes = (ada.wrong_code(), "00000-00000-00000-00000-00000")  # the second one is well made, and nobody's
        answer = await client.second_factor(challenges[number % 20], codes[number % 10 == 9], headers=thief)
        if number % 10 != 9:
            looks[answer.status_code] += 1
        else:
            assert_problem(answer, 401, "invalid-second-factor")
    seconds = asyncio.get_running_loop().time() - started
    assert looks[401] <= 5 + seconds.__ceil__().bit_length()
    assert looks[401] + looks[429] == 900
    assert (await client.refresh(ada.tokens["refresh_token"])).status_code == 200


async def closed(client: Client, user_id: str) -> None:
    """Let strangers have no more tries at the second factor of this account for ten minutes."""
    wrong = await client.second_factor(await client.challenge(), "000000", headers=coming_from(ATTACKER))
    assert_problem(wrong, 401, "invalid-second-factor")
    until = datetime.now(UTC) + timedelta(minutes=10)
    await StoredAttempts(client).set("second factor", user_id, failures=30, blocked_until=until)
    refused = await client.second_factor(await client.challenge(), "000000", headers=coming_from(ATTACKER))
    assert_problem(refused, 429, "too-many-attempts")


async def test_no_password_no_reset_and_no_new_challenge_gives_more_tries_at_the_second_factor(
    make_client: MakeClient,
) -> None:
    async with LinkMails.start() as mails:
        client = await make_client(proxy=GATEWAY, **mails.settings)
        user_id = (await client.register("ada@example.com")).json()["id"]
        await client.verify_email(await mails.token("ada@example.com", "verify-email"))
        app = await Authenticator.add(client, await client.sign_in())
        await closed(client, user_id)
        await client.forgot_password()
        token = await mails.token("ada@example.com", "reset-password")
        (await client.reset_password(token, NEW_PASSWORD)).raise_for_status()
        challenge = await client.challenge(password=NEW_PASSWORD)
        refused = await client.second_factor(challenge, app.code(), headers=coming_from(ATTACKER))
        assert_problem(refused, 429, "too-many-attempts")


async def test_a_used_code_is_counted_as_a_wrong_one_and_notes_no_sign_in(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    user_id = (await client.register("ada@example.com")).json()["id"]
    app = await Authenticator.add(client, await client.sign_in())
    code, thief = app.code(), coming_from(ATTACKER)
    tokens = (await client.second_factor(await client.challenge(), code)).raise_for_status().json()
    before = (await client.me(tokens["access_token"])).json()
    for tried in (app.wrong_code(), code, code):
        assert (await client.second_factor(await client.challenge(), tried, headers=thief)).status_code == 401
    assert await StoredAttempts(client).failures("second factor", user_id) == 3
    assert (await client.me(tokens["access_token"])).json() == before


async def test_a_full_tally_locks_no_owner_out(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    user_id = (await client.register("ada@example.com")).json()["id"]
    app = await Authenticator.add(client, await client.sign_in())
    home, abroad = coming_from(OWNER), coming_from("203.0.113.7")
    (await client.second_factor(await client.challenge(), app.code(), headers=home)).raise_for_status()
    await closed(client, user_id)
    challenge = await client.challenge()
    assert (await client.second_factor(challenge, app.code(1), headers=abroad)).status_code == 429
    assert (await client.second_factor(challenge, app.recovery_codes[0], headers=abroad)).status_code == 200
    again = await client.second_factor(await client.challenge(), app.code(1), headers=abroad)
    assert again.status_code == 200, "by the recovery code, this network is the owner's too"
    await StoredFactors(client).set_last_step(app.id, -5)
    assert (await client.second_factor(await client.challenge(), app.code(), headers=home)).status_code == 200


async def test_a_password_alone_makes_no_network_the_owners(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    user_id = (await client.register("ada@example.com")).json()["id"]
    app = await Authenticator.add(client, await client.sign_in())
    counts = StoredAttempts(client)
    known = [counts.key(what, user_id, OWNER) for what in ("login", "second factor")]
    asked = await enter(client)
    assert_problem(asked, 403, "second-factor-required")
    assert not set(known) & set(await counts.rows())
    assert await counts.failures("login", user_id) == await counts.pending() == 0
    challenge = asked.json()["challenge"]
    (await client.second_factor(challenge, app.code(), headers=coming_from(OWNER))).raise_for_status()
    assert set(known) <= set(await counts.rows())
    await counts.time_passes(days=1)
    before = await counts.rows()
    assert (await enter(client)).status_code == 403
    after = await counts.rows()
    assert {key: after[key]["expires_at"] for key in known} == {key: before[key]["expires_at"] for key in known}


@on_postgresql
async def test_the_trail_tells_of_wrong_codes_and_of_recovery_codes(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database_url)
    await client.register("ada@example.com")
    app = await Authenticator.add(client, await client.sign_in())
    challenge = await client.challenge()
    for code in (app.wrong_code(), app.recovery_codes[0], app.recovery_codes[1]):
        await client.second_factor(challenge, code)
    told = "SELECT event, details FROM audit_events WHERE user_id IS NOT NULL ORDER BY at, id"
    events = [(event, details) for event, details in await run_sql(database_url, told)][-4:]
    assert sorted(event for event, _ in events) == [
        "factor.code_refused", "factor.code_refused", "login.succeeded", "recovery_code.used",
    ]  # fmt: skip
    (left,) = [details for event, details in events if event == "recovery_code.used"]
    assert json.loads(left) == {"left": 9}


def test_every_way_to_a_token_asks_for_the_second_factor() -> None:
    schemas = document()["components"]["schemas"]

    def gives(operation: dict[str, Any]) -> bool:
        answers = [operation["responses"].get(status, {}) for status in ("200", "201")]
        content = [answer.get("content", {}).get("application/json", {}) for answer in answers]
        names = re.findall(r"schemas/(\w+)", json.dumps(content))
        return any("access_token" in schemas[name].get("properties", {}) for name in names)

    found = {
        f"{method.upper()} {path}"
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if gives(operation)
    }
    assert found == set(GIVING_TOKENS)


@on_postgresql
async def test_the_database_takes_no_session_that_a_password_alone_would_open(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url)
    await client.register("ada@example.com")
    await Authenticator.add(client, await client.sign_in())
    parts = {"none": "'{}'", "now": "now()"}
    for acr in ("NULL", "'aal1'"):
        row = SESSION.format(id="gen_random_uuid()", hash="sha256('x')", acr=acr, **parts)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await run_sql(database_url, row)
        assert refused.value.sqlstate == "57P03"
    await run_sql(database_url, SESSION.format(id="gen_random_uuid()", hash="sha256('x')", acr="'aal2'", **parts))


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_sqlite_takes_none_either(make_client: MakeClient, database_url: str) -> None:
    client, url = await make_client(), database_url
    await client.register("ada@example.com")
    await Authenticator.add(client, await client.sign_in())
    parts = {"none": "'[]'", "now": "datetime('now')"}
    (before,) = await run_sql(url, "SELECT count(*) FROM refresh_tokens")
    for acr in ("NULL", "'aal1'", "'aal2'"):
        await run_sql(url, SESSION.format(id="lower(hex(randomblob(16)))", hash="randomblob(32)", acr=acr, **parts))
    assert await run_sql(url, "SELECT count(*) FROM refresh_tokens") == [(before[0] + 1,)]


@on_postgresql
async def test_through_a_pooler_and_with_an_outdated_hash_the_second_step_is_the_same(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, database={"pgbouncer": True})
    await client.register("ada@example.com")
    app = await Authenticator.add(client, await client.sign_in())
    costlier = await make_client(database_url, database={"pgbouncer": True}, password={"argon2_time_cost": 2})
    challenge = await costlier.challenge()
    hashes = "SELECT hashed_password FROM users"
    ((renewed,),) = await run_sql(database_url, hashes)
    assert "t=2" in renewed, "no later step sees the password"
    assert_problem(await costlier.second_factor(challenge, app.wrong_code()), 401, "invalid-second-factor")
    assert (await costlier.second_factor(challenge, app.code())).status_code == 200
    assert_problem(await costlier.second_factor(challenge, app.recovery_codes[0]), 401, "invalid-second-factor")
    assert (await costlier.second_factor(await costlier.challenge(), app.recovery_codes[0])).status_code == 200


async def test_wrong_recovery_codes_of_whoever_knows_the_password_keep_no_right_one_out(
    make_client: MakeClient,
) -> None:
    client = await make_client(throttle={"address_failures": 3})
    (await client.register("ada@example.com")).raise_for_status()
    app = await Authenticator.add(client, await client.sign_in())
    nobodys = "00000-00000-00000-00000-00000"
    seen = [(await client.second_factor(await client.challenge(), nobodys)).status_code for _ in range(5)]
    assert seen == [401] * 3 + [429] * 2
    assert (await client.second_factor(await client.challenge(), app.recovery_codes[0])).status_code == 200
