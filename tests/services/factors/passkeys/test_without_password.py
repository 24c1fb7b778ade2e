"""Accounts that gave their password up: how they do so, what they are asked, and how they get one again."""

from typing import Any

import pytest

from tests.conftest import PATIENT, MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client, bearer
from tests.support.databases import on_postgresql
from tests.support.link_mails import LinkMails
from tests.support.passkeys import PASSKEYS, REQUIRED, Passkey, second
from tests.support.problems import assert_problem
from tests.support.races import Gate
from tests.support.sql import run_sql

EMAIL = "ada@example.com"
NEW = "a long and odd one 97"


async def two_passkeys(client: Client) -> tuple[Passkey, Passkey]:
    """Both of ada's, whose session is that of the first."""
    first = await Passkey.add(client, await client.sign_in())
    return first, await Passkey.add(client, first.tokens)


async def drop(client: Client, access_token: str) -> Any:
    return await client.delete("/auth/me/password", headers=bearer(access_token))


async def without(client: Client) -> tuple[Passkey, Passkey]:
    """The same, and ada has no password any more."""
    first, other = await two_passkeys(client)
    assert (await drop(client, first.tokens["access_token"])).status_code == 204
    return first, other


async def test_an_account_with_two_passkeys_drops_its_password_and_its_sessions_go_on(keeper: Client) -> None:
    first = await Passkey.add(keeper, await keeper.sign_in())
    token = first.tokens["access_token"]
    assert_problem(await drop(keeper, token), 409, "last-credential")
    other = await Passkey.add(keeper, first.tokens)
    elsewhere = await other.sign_in(keeper)
    for _ in range(2):
        assert (await drop(keeper, token)).status_code == 204
    assert (await keeper.me(elsewhere["access_token"])).status_code == 200
    for tokens in (first.tokens, elsewhere):
        assert (await keeper.refresh(tokens["refresh_token"])).status_code == 200
    assert_problem(await keeper.login(), 401, "invalid-credentials")
    assert (await keeper.login()).json()["detail"] == (await keeper.login("nobody@example.com")).json()["detail"]
    await first.sign_in(keeper)
    events = [event["event"] for event in (await keeper.export(token)).json()["events"]]
    assert events.count("password.removed") == 1


async def test_what_was_begun_with_a_password_that_is_gone_since_opens_nothing(keeper: Client) -> None:
    first, _ = await two_passkeys(keeper)
    told = (await keeper.login()).json()
    assert (await drop(keeper, first.tokens["access_token"])).status_code == 204
    refused = await second(keeper, told["challenge"], first.signed_for(told["public_key"]))
    assert_problem(refused, 401, "invalid-second-factor")
    refused = await keeper.second_factor(told["challenge"], first.recovery_codes[0])
    assert_problem(refused, 401, "invalid-second-factor")


@on_postgresql
async def test_codes_for_a_password_that_is_gone_since_leave_nothing_reserved(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS)
    (await client.register(EMAIL)).raise_for_status()
    app = await Authenticator.add(client, await client.sign_in())
    first = await Passkey.add(client, app.tokens)
    await Passkey.add(client, first.tokens)
    challenge = (await client.login()).json()["challenge"]
    assert (await drop(client, first.tokens["access_token"])).status_code == 204
    for _ in range(3):
        assert_problem(await client.second_factor(challenge, app.code()), 401, "invalid-second-factor")
    assert await run_sql(database_url, "SELECT count(*) FROM throttles WHERE pending > 0") == [(0,)]


@on_postgresql
async def test_a_second_step_that_is_under_way_when_the_password_goes_opens_nothing(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS, database=PATIENT, throttle={"enabled": False})
    user_id = (await client.register(EMAIL)).raise_for_status().json()["id"]
    first = await Passkey.add(client, await client.sign_in())
    await Passkey.add(client, first.tokens)
    told = (await client.login()).json()
    async with Gate.to(database_url) as gate:
        signed = second(client, told["challenge"], first.signed_for(told["public_key"]))
        dropped, opened = await gate.race("users", user_id, drop(client, first.tokens["access_token"]), signed)
    assert dropped.status_code == 204
    assert_problem(opened, 401, "invalid-second-factor")


async def test_the_last_passkey_of_an_account_without_a_password_stays(keeper: Client) -> None:
    first, other = await without(keeper)
    token = first.tokens["access_token"]
    assert (await keeper.remove_factor(token, other.id)).status_code == 204
    assert_problem(await keeper.remove_factor(token, first.id), 409, "last-credential")
    await first.sign_in(keeper)


@on_postgresql
async def test_two_requests_at_once_do_not_remove_the_last_way_to_sign_in(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, **PASSKEYS, database=PATIENT, throttle={"enabled": False})
    async with Gate.to(database_url) as gate:
        for number in range(4):
            email, has_password = f"{number}@example.com", number < 2
            user_id = (await client.register(email)).raise_for_status().json()["id"]
            first = await Passkey.add(client, await client.sign_in(email))
            other = await Passkey.add(client, first.tokens)
            token = first.tokens["access_token"]
            if not has_password:
                assert (await drop(client, token)).status_code == 204
            beside = drop(client, token) if has_password else client.remove_factor(token, other.id)
            racers = [client.remove_factor(token, first.id), beside]
            if number % 2:
                racers.reverse()
            answers = await gate.race("users", user_id, *racers)
            both_may = has_password and number % 2  # without the password first, one passkey is left
            assert sorted(answer.status_code for answer in answers) == ([204, 204] if both_may else [204, 409])
            left = (await client.factors(token))["items"]
            await (first if left[0]["id"] == first.id else other).sign_in(client)


async def test_a_recent_sign_in_is_asked_for_where_there_is_no_current_password(keeper: Client) -> None:
    first, _ = await without(keeper)
    token = first.tokens["access_token"]
    wrong = await keeper.change_password(token, PASSWORD, NEW)
    assert_problem(wrong, 401, "invalid-credentials")
    answer = await keeper.post("/auth/me/password", json={"new_password": NEW}, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    assert_problem(await keeper.login(password=NEW), 403, "second-factor-required")
    missing = await keeper.post(
        "/auth/me/password", json={"new_password": PASSWORD}, headers=bearer(answer.json()["access_token"])
    )
    assert_problem(missing, 422, "validation-error")
    assert missing.json()["errors"][0]["field"] == "current_password"


async def test_an_account_is_deleted_without_a_body_by_a_recent_sign_in(keeper: Client) -> None:
    tokens = await keeper.sign_in()
    wrong = await keeper.delete_account(tokens["access_token"], "wrong")
    assert_problem(wrong, 401, "invalid-credentials")
    headers = bearer(tokens["access_token"])
    other = await keeper.request("DELETE", "/auth/me", content=b"x", headers=headers)
    assert_problem(other, 415, "unsupported-media-type")
    assert (await keeper.delete("/auth/me", headers=headers)).status_code == 204
    assert_problem(await keeper.login(), 401, "invalid-credentials")


async def test_the_email_changes_by_a_recent_sign_in(make_client: MakeClient) -> None:
    async with LinkMails.start() as mails:
        client = await make_client(**PASSKEYS, **mails.settings)
        (await client.register(EMAIL)).raise_for_status()
        first, _ = await without(client)
        headers = bearer(first.tokens["access_token"])
        body = {"new_email": "new@example.com"}
        assert (await client.post("/auth/me/email", json=body, headers=headers)).status_code == 202
        token = await mails.token("new@example.com", "confirm-email")
        changed = await client.confirm_email(token, access_token=first.tokens["access_token"])
        assert changed.json() == {"status": "changed"}
        (await client.register("eve@example.com")).raise_for_status()
        eve = bearer((await client.sign_in("eve@example.com"))["access_token"])
        missing = await client.post("/auth/me/email", json={"new_email": "e@example.com"}, headers=eve)
        assert_problem(missing, 422, "validation-error")


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
@pytest.mark.parametrize(("settings", "status"), [(PASSKEYS, 204), (REQUIRED, 400)])
async def test_a_mailed_link_gives_a_password_again_unless_the_role_signs_in_with_passkeys_alone(
    make_client: MakeClient, database_url: str, settings: dict[str, Any], status: int
) -> None:
    async with LinkMails.start() as mails:
        lax = await make_client(database_url, **PASSKEYS, **mails.settings)
        (await lax.register(EMAIL)).raise_for_status()
        (await lax.verify_email(await mails.token(EMAIL, "verify-email"))).raise_for_status()
        first, _ = await without(lax)
        client = await make_client(database_url, **settings, **mails.settings)
        await client.forgot_password()
        token = await mails.token(EMAIL, "reset-password")
        answer = await client.reset_password(token, NEW)
        assert answer.status_code == status, answer.text
        if status == 204:
            assert_problem(await client.login(password=NEW), 403, "second-factor-required")
        else:
            assert_problem(answer, 400, "invalid-link")
            assert answer.json()["reason"] == "needs-passkey"
            assert_problem(await client.login(password=NEW), 401, "invalid-credentials")
        await first.sign_in(client)


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_no_mail_takes_the_passkey_of_a_role_that_must_have_one_though_the_address_was_never_verified(
    make_client: MakeClient, database_url: str
) -> None:
    async with LinkMails.start() as mails:
        lax = await make_client(database_url, **PASSKEYS, **mails.settings)
        (await lax.register(EMAIL)).raise_for_status()
        passkey = await Passkey.add(lax, await lax.sign_in())
        strict = await make_client(database_url, **REQUIRED, **mails.settings)
        await strict.forgot_password()
        token = await mails.token(EMAIL, "reset-password")
        assert_problem(await strict.reset_password(token, NEW), 400, "invalid-link")
        await passkey.sign_in(strict)


async def test_where_passkeys_are_not_configured_no_password_is_dropped(ada: Client) -> None:
    tokens = await ada.sign_in()
    assert_problem(await drop(ada, tokens["access_token"]), 404, "not-found")
