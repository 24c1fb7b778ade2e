"""An administrator or a thief who wants to get round a second factor: the owner keeps notice, time and link."""

import asyncio
import json

import pytest

from tests.conftest import PATIENT, MakeClient
from tests.support.admins import Admin
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.link_mails import LinkMails
from tests.support.owner import LONG_AGO, NEW, OLD, FactorOwner, eventually_none_waits, let_time_pass, owner_of_factor
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
THIEFS = "a passphrase of the thief"


async def asks_for_the_factor(ada: FactorOwner, password: str | None = None) -> None:
    """The password alone signs in nowhere."""
    answer = await (ada.client.login(OLD, password) if password else ada.client.login(OLD))
    assert_problem(answer, 403, "second-factor-required")


async def ask_while_mail_waits(ada: FactorOwner, url: str) -> None:
    """Let a reset be asked for and become due, whose mail the server has not taken yet."""
    server = ada.mails.server
    server.to_recipient, before = "451 not now", server.asked
    await ada.ask_reset()

    async def was_tried() -> bool:
        return server.asked > before

    await eventually(was_tried)
    await let_time_pass(url)
    told = json.dumps({"effective_at": "2026-01-01T00:00:00+00:00"})
    await run_sql(url, f"UPDATE outgoing_mails SET details = '{told}' WHERE kind = 'factors-reset-planned'")


@on_a_lasting_database
async def test_a_stolen_administrator_cannot_reset_its_own_factors_nor_by_another_account_without_its_owner_hearing(
    ada: FactorOwner, mails: LinkMails
) -> None:
    """Ada is an administrator too, and a thief has her session."""
    await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "admin"})
    thief = Admin(ada.client, ada.id, (await ada.sign_in()).json())
    assert_problem(await ada.ask_reset(thief), 409, "own-account")
    made = await thief.call("POST", json={"email": "thief@example.net", "role": "admin"})
    link = await mails.token("thief@example.net", "reset-password")
    assert (await ada.client.reset_password(link, THIEFS)).status_code == 204
    other = Admin(ada.client, made.json()["id"], await ada.client.sign_in("thief@example.net", THIEFS))
    assert (await ada.ask_reset(other)).status_code == 202
    await asks_for_the_factor(ada)
    assert (await ada.client.keep_factors(await ada.link())).status_code == 204


@on_a_lasting_database
async def test_an_administrator_cannot_take_the_link_from_the_owner_or_hurry(
    ada: FactorOwner, database_url: str
) -> None:
    effective_at = (await ada.ask_reset()).json()["effective_at"]
    token = await ada.link()
    await ada.admin.call("POST", f"/{ada.id}/end-sessions")
    await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "admin"})
    await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "user"})
    await ada.admin.call("POST", f"/{ada.id}/email", json={"email": NEW})
    await ada.mails.token(OLD, "keep-email")
    assert (await ada.admin.show(ada.id))["pending_factors_reset"] == {"effective_at": effective_at}
    await asks_for_the_factor(ada)
    await eventually_none_waits(database_url)
    for sooner in ("effective_at = asked_at", f"asked_at = {LONG_AGO}, effective_at = '2999-01-01 00:00:00.000000'"):
        await run_sql(database_url, f"UPDATE pending_changes SET {sooner} WHERE kind = 'factors'")
        await asks_for_the_factor(ada)  # neither time alone is enough
    assert (await ada.client.keep_factors(token)).status_code == 204


@on_a_lasting_database
async def test_a_thief_with_the_password_cannot_sign_in_during_the_delay_nor_does_trying_shorten_it(
    ada: FactorOwner,
) -> None:
    effective_at = (await ada.ask_reset()).json()["effective_at"]
    token = await ada.link()
    for _ in range(3):
        await asks_for_the_factor(ada)
    challenge = await ada.client.challenge(OLD)
    assert_problem(await ada.client.second_factor(challenge, ada.app.wrong_code()), 401, "invalid-second-factor")
    assert_problem(await ada.client.begin_login_enrolment(challenge), 401, "invalid-second-factor")
    pending = (await ada.client.pending_reset(ada.tokens["access_token"])).json()
    assert pending == {"effective_at": effective_at}, "and a wrong code does not stop it"
    assert (await ada.client.keep_factors(token)).status_code == 204


@pytest.mark.parametrize("kind", ["totp", "recovery_code"])
@on_a_lasting_database
async def test_a_challenge_of_before_does_not_stop_a_reset_that_is_due(
    ada: FactorOwner, database_url: str, kind: str
) -> None:
    await ada.ask_reset()
    challenge = await ada.client.challenge(OLD)
    await ada.becomes_due(database_url)
    code = ada.app.code() if kind == "totp" else ada.app.recovery_codes[0]
    assert_problem(await ada.client.second_factor(challenge, code), 401, "invalid-second-factor")
    assert "were removed from your account" in await ada.mails.notice(OLD)
    refused = "SELECT count(*) FROM audit_events WHERE event = 'factor.code_refused'"
    assert await run_sql(database_url, refused) == [(0,)]
    assert (await ada.client.login(OLD)).status_code == 200


@on_a_lasting_database
async def test_a_reset_whose_mail_was_held_up_waits_until_the_owner_had_half_of_the_delay(
    ada: FactorOwner, make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    await ask_while_mail_waits(ada, database_url)
    await asks_for_the_factor(ada)
    await make_client(**mails.settings)
    await asks_for_the_factor(ada)
    mails.server.to_recipient = "250 OK"
    await run_sql(database_url, f"UPDATE outgoing_mails SET due_at = {LONG_AGO}")
    token = await ada.link()
    await asks_for_the_factor(ada)  # it was sent a moment ago
    assert (await ada.client.keep_factors(token)).status_code == 204


@on_a_lasting_database
async def test_a_change_of_address_that_takes_effect_does_not_swallow_the_mail_about_a_reset(
    ada: FactorOwner, make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """The mail server took the one about the address, and was down for the other."""
    await ada.admin.call("POST", f"/{ada.id}/email", json={"email": NEW})
    await mails.token(OLD, "keep-email")
    await mails.notice(NEW)
    await ask_while_mail_waits(ada, database_url)
    await make_client(**mails.settings)

    async def has_changed() -> bool:
        return bool((await ada.admin.show(ada.id))["email"] == NEW)

    await eventually(has_changed)
    assert_problem(await ada.client.login(NEW), 403, "second-factor-required")
    assert (await ada.admin.show(ada.id))["pending_factors_reset"] is not None


@on_postgresql
async def test_a_reset_that_is_stopped_while_a_sign_in_is_about_to_make_it_is_not_made(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    ada = await owner_of_factor(await make_client(**mails.settings, database=PATIENT), mails)
    await ada.ask_reset()
    token = await ada.becomes_due(database_url)
    async with gate(database_url) as held:
        await held.close(f"SELECT 1 FROM users WHERE id = '{ada.id}' FOR UPDATE")
        signing_in = asyncio.create_task(ada.client.login(OLD))
        await held.wait_for(1)
        assert (await ada.client.keep_factors(token)).status_code == 204
        await held.open()
        assert_problem(await signing_in, 403, "second-factor-required")
    assert (await ada.sign_in()).status_code == 200


@on_postgresql
async def test_of_many_sign_ins_and_a_schedule_one_makes_the_reset(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    patient = {**mails.settings, "database": PATIENT}
    ada = await owner_of_factor(await make_client(**patient), mails)
    await ada.ask_reset()
    token = await ada.becomes_due(database_url)
    async with gate(database_url) as held:
        await held.close(f"SELECT 1 FROM users WHERE id = '{ada.id}' FOR UPDATE")
        signing_in = [asyncio.create_task(ada.client.login(OLD)) for _ in range(3)]
        await held.wait_for(3)
        await make_client(**patient)
        await held.wait_for(4)
        await held.open()
        answers = await asyncio.gather(*signing_in)
    assert {answer.status_code for answer in answers} <= {200, 403}
    assert_problem(await ada.client.keep_factors(token), 400, "invalid-link")
    await mails.notice(OLD)
    assert (await ada.client.login(OLD)).status_code == 200
    ((count,),) = await run_sql(database_url, "SELECT count(*) FROM audit_events WHERE event = 'factors.reset'")
    assert count == 1


@on_postgresql
async def test_a_password_that_was_changed_meanwhile_signs_in_by_no_reset(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    """Whoever tries had the right password when it was looked at."""
    ada = await owner_of_factor(await make_client(**mails.settings, database=PATIENT), mails)
    await ada.ask_reset()
    await ada.becomes_due(database_url)
    async with gate(database_url) as held:
        change = "UPDATE users SET credential_epoch = credential_epoch + 1, hashed_password = 'x'"
        await held.close(f"{change} WHERE id = '{ada.id}'")
        signing_in = asyncio.create_task(ada.client.login(OLD))
        await held.wait_for(1)
        await held.open()
        assert (await signing_in).status_code in {401, 403}
    ((alive,),) = await run_sql(
        database_url, f"SELECT count(*) FROM refresh_tokens WHERE user_id = '{ada.id}' AND revoked_at IS NULL"
    )
    assert alive == 0


@pytest.mark.parametrize("by", ["verify-email", "reset-password"])
@on_a_lasting_database
async def test_the_owner_of_a_mailbox_that_was_never_verified_gets_rid_of_the_factors_of_whoever_registered(
    client: Client, mails: LinkMails, database_url: str, by: str
) -> None:
    admin = await Admin.of(client)
    user_id = (await client.register(OLD, THIEFS)).json()["id"]
    token = await mails.token(OLD, "verify-email")
    app = await Authenticator.add(client, await client.sign_in(OLD, THIEFS))
    await Authenticator.begin(client, app.tokens["access_token"])
    assert (await admin.call("POST", f"/{user_id}/factors/reset")).status_code == 202
    if by == "verify-email":
        done = await client.verify_email(token, new_password="another horse, another battery")
    else:
        await client.forgot_password(OLD)
        done = await client.reset_password(await mails.token(OLD, by), "another horse, another battery")
    assert done.status_code == 204, done.text
    tokens = await client.sign_in(OLD, "another horse, another battery")
    assert await client.factors(tokens["access_token"]) == {"items": [], "recovery_codes_left": 0}
    for table in ("factors", "recovery_codes", "pending_changes"):
        assert await run_sql(database_url, f"SELECT 1 FROM {table}") == []
    ((details,),) = await run_sql(database_url, "SELECT details FROM audit_events WHERE event = 'factors.reset'")
    assert "takeover" in str(details)
    assert_problem(await client.refresh(app.tokens["refresh_token"]), 401, "invalid-refresh-token")
