"""Whoever must have a second factor and has none can do nothing but add one, in the five minutes after the password."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.admins import promote
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client, bearer
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

EVERYBODY: dict[str, Any] = {"factors": {"required_roles": ("user", "admin")}}
INTERNAL = {"X-Internal-Token": "internal-token-of-the-tests"}
TABLES = ("factors", "recovery_codes", "spent_challenges", "refresh_tokens", "audit_events")
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
async def ada(make_client: MakeClient) -> Client:
    """A client for a service where everybody must have a factor, with the account ada@example.com, which has none."""
    client = await make_client(**EVERYBODY)
    (await client.register("ada@example.com", PASSWORD, "ada")).raise_for_status()
    return client


async def asked(client: Client, email: str = "ada@example.com") -> str:
    """Give the right password, and return the challenge that it leads to."""
    refused = await client.login(email)
    assert_problem(refused, 403, "second-factor-enrolment-required")
    challenge: str = refused.json()["challenge"]
    return challenge


async def begun(client: Client, challenge: str) -> Authenticator:
    return Authenticator((await client.begin_login_enrolment(challenge)).raise_for_status().json()["secret"])


async def test_a_right_password_opens_nothing_but_the_enrolment(ada: Client) -> None:
    answer = await ada.login()
    assert_problem(answer, 403, "second-factor-enrolment-required")
    told = answer.json()
    assert (told["methods"], told["expires_in"]) == (["totp"], 300)
    assert "set-cookie" not in answer.headers
    assert_problem(await ada.second_factor(told["challenge"], "123456"), 401, "invalid-second-factor")
    assert_problem(await ada.me(told["challenge"]), 401, "invalid-access-token")


async def test_a_code_of_the_new_app_opens_the_session(ada: Client) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    answer = await ada.confirm_login_enrolment(challenge, app.code())
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    mine = answer.json()
    assert len(set(mine["recovery_codes"])) == 10
    listed = await ada.factors(mine["access_token"])
    assert ([factor["kind"] for factor in listed["items"]], listed["recovery_codes_left"]) == (["totp"], 10)
    assert (await ada.refresh(mine["refresh_token"])).status_code == 200
    assert_problem(await ada.login(), 403, "second-factor-required")
    events = [event["event"] for event in (await ada.export(mine["access_token"])).json()["events"]]
    assert {"factor.added", "login.succeeded"} <= set(events)
    assert (await ada.me(mine["access_token"])).json()["last_login_at"]


async def test_the_code_of_the_enrolment_opens_no_second_session(ada: Client) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    code = app.code()
    (await ada.confirm_login_enrolment(challenge, code)).raise_for_status()
    assert_problem(await ada.confirm_login_enrolment(challenge, code), 401, "invalid-second-factor")
    assert_problem(await ada.confirm_login_enrolment(challenge, app.code(1)), 401, "invalid-second-factor")
    assert_problem(await ada.begin_login_enrolment(challenge), 401, "invalid-second-factor")
    assert_problem(await ada.second_factor(await ada.challenge(), code), 401, "invalid-second-factor")


async def test_a_page_with_a_cookie_gets_the_session_in_its_cookie(make_client: MakeClient) -> None:
    client = await make_client(**EVERYBODY, cookies={"enabled": True})
    (await client.register("ada@example.com")).raise_for_status()
    page = {"X-Auth-Cookie": "1", "Origin": "http://127.0.0.1:8000"}
    refused = await client.login(headers=page)
    assert_problem(refused, 403, "second-factor-enrolment-required")
    assert "set-cookie" not in refused.headers
    challenge = refused.json()["challenge"]
    app = await begun(client, challenge)
    answer = await client.confirm_login_enrolment(challenge, app.code(), **page)
    assert "refresh_token" not in answer.json()
    assert len(answer.json()["recovery_codes"]) == 10
    assert answer.headers["set-cookie"].startswith("__Host-auth-refresh=art_")


@on_a_lasting_database
async def test_to_ask_twice_gives_the_same_and_writes_nothing(ada: Client, database_url: str) -> None:
    challenge, other = await asked(ada), await asked(ada)
    before = await _counts(database_url)
    first, second = [(await ada.begin_login_enrolment(challenge)).json() for _ in range(2)]
    assert first == second
    assert set(first) == {"secret", "otpauth_uri"}
    assert (await ada.begin_login_enrolment(other)).json()["secret"] != first["secret"]
    assert await _counts(database_url) == before


@on_a_lasting_database
async def test_recovery_codes_without_a_factor_do_not_stand_in_the_way(ada: Client, database_url: str) -> None:
    """A state that somebody made by hand: there is no other way to it."""
    challenge = await asked(ada)
    zeros = f"decode('{'00' * 32}', 'hex')" if "postgresql" in database_url else f"x'{'00' * 32}'"
    await run_sql(database_url, f"INSERT INTO recovery_codes (user_id, code_hash) SELECT id, {zeros} FROM users")
    app = await begun(ada, challenge)
    answer = await ada.confirm_login_enrolment(challenge, app.code())
    assert answer.status_code == 200, answer.text
    assert (await ada.factors(answer.json()["access_token"]))["recovery_codes_left"] == 10


@on_a_lasting_database
async def test_two_confirms_at_once_open_one_session(ada: Client, database_url: str) -> None:
    challenges = [await asked(ada), await asked(ada)]
    apps = [await begun(ada, challenge) for challenge in challenges]
    answers = await asyncio.gather(
        *(ada.confirm_login_enrolment(c, app.code()) for c, app in zip(challenges, apps, strict=True) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    assert await run_sql(database_url, "SELECT count(*) FROM factors") == [(1,)]
    assert await run_sql(database_url, "SELECT count(*) FROM refresh_tokens") == [(1,)]


async def test_wrong_codes_are_refused_and_counted(ada: Client) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    for code in (app.wrong_code(), app.code(-3), app.code(3), "12345", "ABCDE-FGHJK"):
        assert_problem(await ada.confirm_login_enrolment(challenge, code), 401, "invalid-second-factor")
    assert_problem(await ada.confirm_login_enrolment(challenge, app.code()), 429, "too-many-attempts")


async def test_a_challenge_of_another_kind_or_none_at_all_is_refused(ada: Client, make_client: MakeClient) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    (await ada.confirm_login_enrolment(challenge, app.code())).raise_for_status()
    for wrong in (await ada.challenge(), "chl_", f"chl_{'A' * 83}", challenge[:-1], f"{challenge}A"):
        assert_problem(await ada.begin_login_enrolment(wrong), 401, "invalid-second-factor")
        assert_problem(await ada.confirm_login_enrolment(wrong, app.code(1)), 401, "invalid-second-factor")


@on_a_lasting_database
async def test_a_new_password_ends_a_challenge(ada: Client, database_url: str) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    await run_sql(database_url, "UPDATE users SET credential_epoch = credential_epoch + 1")
    assert_problem(await ada.begin_login_enrolment(challenge), 401, "invalid-second-factor")
    assert_problem(await ada.confirm_login_enrolment(challenge, app.code()), 401, "invalid-second-factor")
    assert await run_sql(database_url, "SELECT count(*) FROM factors") == [(0,)]


async def test_only_the_roles_that_are_named_must_have_one(make_client: MakeClient) -> None:
    client = await make_client(factors={"required_roles": ("admin",)})
    root = (await client.register("root@example.com")).raise_for_status().json()["id"]
    (await client.register("ada@example.com")).raise_for_status()
    assert (await client.login()).status_code == 200
    assert (await client.login("root@example.com")).status_code == 200
    await promote(client, root)
    await asked(client, "root@example.com")


@on_a_lasting_database
async def test_an_imported_role_goes_with_that_of_users(ada: Client, database_url: str) -> None:
    await run_sql(database_url, "UPDATE users SET role = 'editor'")
    await asked(ada)


async def test_the_last_factor_of_such_a_role_stays(ada: Client) -> None:
    challenge = await asked(ada)
    app = await begun(ada, challenge)
    mine = (await ada.confirm_login_enrolment(challenge, app.code(-1))).raise_for_status().json()
    (factor,) = (await ada.factors(mine["access_token"]))["items"]
    assert_problem(await ada.remove_factor(mine["access_token"], factor["id"]), 409, "last-credential")
    another = await Authenticator.add(ada, mine)
    assert [item["id"] for item in (await ada.factors(mine["access_token"]))["items"]] == [another.id]


@on_a_lasting_database
class TestSessionsFromBeforeThePolicy:
    """Opened by a password alone, when their user did not have to have a factor yet."""

    @pytest.fixture
    async def before(self, make_client: MakeClient) -> Client:
        client = await make_client()
        (await client.register("ada@example.com")).raise_for_status()
        return client

    async def test_the_next_refresh_ends_them_with_the_reason(
        self, before: Client, make_client: MakeClient, database_url: str
    ) -> None:
        tokens = await before.sign_in()
        strict = await make_client(**EVERYBODY)
        assert_problem(await strict.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")
        ended = "SELECT revoked_reason FROM refresh_tokens"
        assert await run_sql(database_url, ended) == [("factor_required",)]
        assert_problem(await before.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")

    async def test_a_retry_ends_them_as_well(self, before: Client, make_client: MakeClient, database_url: str) -> None:
        tokens = await before.sign_in()
        (await before.refresh(tokens["refresh_token"])).raise_for_status()
        strict = await make_client(**EVERYBODY)
        assert_problem(await strict.refresh(tokens["refresh_token"]), 401, "invalid-refresh-token")
        ended = "SELECT revoked_reason FROM refresh_tokens"
        assert await run_sql(database_url, ended) == [("factor_required",)]

    async def test_introspection_calls_neither_of_their_tokens_active(
        self, before: Client, make_client: MakeClient
    ) -> None:
        tokens = await before.sign_in()
        strict = await make_client(internal_token=INTERNAL["X-Internal-Token"], **EVERYBODY)
        for token in (tokens["refresh_token"], tokens["access_token"]):
            told = await strict.post("/internal/introspect", data={"token": token}, headers=INTERNAL)
            assert told.json() == {"active": False}
        asked_by_gateway = await strict.get("/internal/verify", headers=bearer(tokens["access_token"]) | INTERNAL)
        assert_problem(asked_by_gateway, 401, "invalid-access-token")

    async def test_no_route_gives_them_another_token(self, before: Client, make_client: MakeClient) -> None:
        tokens = await before.sign_in()
        strict = await make_client(**EVERYBODY)
        access = tokens["access_token"]
        answers: list[httpx.Response] = [
            await strict.change_password(access, PASSWORD, "a passphrase that is new"),
            await strict.post("/auth/step-up", json={"password": PASSWORD}, headers=bearer(access)),
            await strict.begin_totp(access),
            await strict.me(access),
        ]
        for answer in answers:
            assert_problem(answer, 401, "invalid-access-token")

    async def test_those_of_a_second_factor_go_on(self, before: Client, make_client: MakeClient) -> None:
        app = await Authenticator.add(before, await before.sign_in())
        strict = await make_client(**EVERYBODY)
        assert (await strict.me(app.tokens["access_token"])).status_code == 200
        assert (await strict.refresh(app.tokens["refresh_token"])).status_code == 200


async def _counts(url: str) -> list[int]:
    return [(await run_sql(url, f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]
