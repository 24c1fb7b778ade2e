"""A reset of second factors that an administrator asks for: the owner is told, it takes a day, and can be stopped."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from jose import jwt

from tests.conftest import MakeClient
from tests.support.admins import Admin
from tests.support.audit import read_audit
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.link_mails import LinkMails
from tests.support.operator import Operator, users
from tests.support.owner import OLD, FactorOwner, owner_of_factor
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

NOBODY = "00000000-0000-4000-8000-000000000000"


async def resets(url: str, folder: Path) -> list[tuple[str, str | None, str | None]]:
    """Each event about a reset, the oldest first: what, by whom, and why."""
    events = [event for event in await read_audit(url, folder) if event["event"].startswith("factors.")]
    return [(event["event"], event["details"].get("actor"), event["details"].get("reason")) for event in events][::-1]


async def left(url: str) -> list[str]:
    """What is left of resets: changes, and mails that tell of one."""
    mails = "SELECT kind FROM outgoing_mails WHERE kind LIKE 'factors-reset-%'"
    return [kind for (kind,) in await run_sql(url, f"SELECT kind FROM pending_changes UNION ALL {mails}")]


@on_a_lasting_database
async def test_the_owner_is_told_and_after_the_delay_the_password_alone_signs_in_though_no_schedule_ran(
    ada: FactorOwner, database_url: str, tmp_path: Path
) -> None:
    answer = await ada.ask_reset()
    assert answer.status_code == 202, answer.text
    effective_at = answer.json()["effective_at"]
    after = datetime.fromisoformat(effective_at) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < after <= timedelta(hours=24)
    token, pending = ada.tokens["access_token"], {"effective_at": effective_at}
    assert (await ada.client.pending_reset(token)).json() == pending
    assert (await ada.admin.show(ada.id))["pending_factors_reset"] == pending
    assert (await ada.client.export(token)).json()["pending_factors_reset"] == pending
    assert_problem(await ada.client.login(OLD), 403, "second-factor-required")

    link = await ada.becomes_due(database_url)
    signed_in = await ada.client.login(OLD)
    assert signed_in.status_code == 200, signed_in.text
    assert jwt.get_unverified_claims(signed_in.json()["access_token"])["acr"] == "aal1"
    assert await ada.client.factors(signed_in.json()["access_token"]) == {"items": [], "recovery_codes_left": 0}
    assert_problem(await ada.client.refresh(ada.tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await ada.client.me(token), 401, "invalid-access-token")
    assert "Authenticator apps, passkeys and recovery codes were removed from your account" in await ada.mails.notice(
        OLD
    )
    assert_problem(await ada.client.keep_factors(link), 400, "invalid-link")
    ended = await run_sql(database_url, "SELECT DISTINCT revoked_reason FROM refresh_tokens WHERE amr = 'pwd otp mfa'")
    assert [reason for (reason,) in ended] == ["factors_reset"]
    assert await resets(database_url, tmp_path) == [
        ("factors.reset_planned", f"admin:{ada.admin.id}", None),
        ("factors.reset", None, "delay_over"),
    ]
    assert (await ada.client.login(OLD)).status_code == 200


@on_a_lasting_database
async def test_a_process_that_starts_when_it_is_due_ends_the_sessions_and_sends_the_mail_without_a_sign_in(
    ada: FactorOwner, make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    await ada.ask_reset()
    await ada.becomes_due(database_url)
    await make_client(**ada.mails.settings)
    assert "were removed from your account" in await ada.mails.notice(OLD)
    assert_problem(await ada.client.refresh(ada.tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert (await resets(database_url, tmp_path))[-1] == ("factors.reset", "service", "delay_over")
    assert (await ada.client.login(OLD)).status_code == 200


@on_a_lasting_database
async def test_whoever_must_have_a_factor_adds_one_at_the_sign_in_after_a_reset(
    ada: FactorOwner, make_client: MakeClient, database_url: str
) -> None:
    strict = await make_client(**ada.mails.settings, factors={"required_roles": ("user",)})
    await ada.ask_reset()
    await ada.becomes_due(database_url)
    asked = await strict.login(OLD)
    assert_problem(asked, 403, "second-factor-enrolment-required")
    challenge = asked.json()["challenge"]
    app = Authenticator((await strict.begin_login_enrolment(challenge)).raise_for_status().json()["secret"])
    assert (await strict.confirm_login_enrolment(challenge, app.code())).status_code == 200


HOW = {
    "link": "link",
    "session": "session",
    "administrator": "administrator",
    "code": "sign_in",
    "recovery code": "sign_in",
    "code when it is due": "sign_in",
    "another app": "other_change",
    "no factor": "other_change",
    "disabled": "disabled",
    "all sessions": "all_sessions_ended",
}


@pytest.mark.parametrize("how", HOW)
@on_a_lasting_database
async def test_it_is_stopped_and_nothing_of_it_is_left(
    ada: FactorOwner, database_url: str, tmp_path: Path, how: str
) -> None:
    await ada.ask_reset()
    token = await ada.link()
    await stop(ada, how, token, Operator(database_url, tmp_path))
    assert await left(database_url) == []
    assert_problem(await ada.client.keep_factors(token), 400, "invalid-link")
    told = await resets(database_url, tmp_path)
    assert [(event, reason) for event, _, reason in told] == [
        ("factors.reset_planned", None), ("factors.reset_stopped", HOW[how]),
    ]  # fmt: skip
    if how not in {"no factor", "disabled"}:
        assert_problem(await ada.client.login(OLD), 403, "second-factor-required")


async def stop(ada: FactorOwner, how: str, token: str, operator: Operator) -> None:
    access_token = ada.tokens["access_token"]
    if how == "all sessions":
        await users(operator, "end-sessions", "--all", "--yes")
        return
    if how == "code when it is due":  # the password was right before
        challenge = await ada.client.challenge(OLD)
        await run_sql(operator.url, "UPDATE pending_changes SET effective_at = asked_at")
        done = await ada.client.second_factor(challenge, ada.app.code())
    elif how == "recovery code":
        done = await ada.client.second_factor(await ada.client.challenge(OLD), ada.app.recovery_codes[0])
    elif how == "another app":
        app = await Authenticator.begin(ada.client, access_token)
        done = await ada.client.confirm_totp(access_token, app.id, app.code())
    else:
        ways: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
            "link": lambda: ada.client.keep_factors(token),
            "session": lambda: ada.client.stop_reset(access_token),
            "administrator": lambda: ada.admin.call("DELETE", f"/{ada.id}/factors/reset"),
            "code": ada.sign_in,
            "no factor": lambda: ada.client.remove_factor(access_token, ada.app.id),
            "disabled": lambda: ada.admin.call("POST", f"/{ada.id}/disable"),
        }
        done = await ways[how]()
        if how in {"session", "administrator"}:
            assert_problem(await ways[how](), 404, "not-found")
    assert done.is_success, done.text


@on_a_lasting_database
async def test_a_second_request_replaces_the_first_and_so_does_its_link(ada: FactorOwner, database_url: str) -> None:
    first = (await ada.ask_reset()).json()["effective_at"]
    stale = await ada.link()
    second = (await ada.ask_reset()).json()["effective_at"]
    assert second > first
    token = await ada.link()
    assert_problem(await ada.client.keep_factors(stale), 400, "invalid-link")
    assert_problem(await ada.client.keep_email(token), 400, "invalid-link")
    assert (await ada.client.keep_factors(token)).status_code == 204
    assert await left(database_url) == []


@on_sqlite
async def test_what_cannot_be_asked_for_is_refused_and_nothing_is_written(ada: FactorOwner, database_url: str) -> None:
    own = await ada.admin.call("POST", f"/{ada.admin.id}/factors/reset")
    assert_problem(own, 409, "own-account")
    assert_problem(await ada.admin.call("POST", f"/{NOBODY}/factors/reset"), 404, "not-found")
    eve = (await ada.client.register("eve@example.com")).json()["id"]
    none = await ada.admin.call("POST", f"/{eve}/factors/reset")
    assert_problem(none, 404, "not-found")
    assert none.json()["detail"] == "The user has no second factor."
    by_user = {"Authorization": f"Bearer {ada.tokens['access_token']}"}
    refused = await ada.client.post(f"/admin/users/{eve}/factors/reset", headers=by_user)
    assert_problem(refused, 403, "insufficient-role")
    await ada.admin.call("POST", f"/{ada.id}/disable")
    assert_problem(await ada.ask_reset(), 409, "account-disabled")
    assert await left(database_url) == []


@on_postgresql
async def test_without_mail_nobody_could_be_told_so_nothing_can_be_asked_for(make_client: MakeClient) -> None:
    admin = await Admin.of(await make_client())
    user_id = (await admin.client.register(OLD)).json()["id"]
    await Authenticator.add(admin.client, await admin.client.sign_in(OLD))
    assert_problem(await admin.call("POST", f"/{user_id}/factors/reset"), 503, "mail-not-configured")


@on_sqlite
async def test_the_delay_and_the_page_are_settings(make_client: MakeClient, mails: LinkMails) -> None:
    page = "https://app.example.com/keep-factors"
    mail = {**mails.settings["mail"], "keep_factors_url": page}
    ada = await owner_of_factor(await make_client(mail=mail, factors={"reset_delay": timedelta(days=3)}), mails)
    effective_at = datetime.fromisoformat((await ada.ask_reset()).json()["effective_at"])
    assert effective_at > datetime.now(UTC) + timedelta(days=2)
    assert (await mails.link(OLD, "keep-factors")).startswith(f"{page}#token=lnk_")


@on_a_lasting_database
async def test_an_operator_resets_with_the_delay_or_at_once(
    ada: FactorOwner, client: Client, database_url: str, tmp_path: Path
) -> None:
    operator = Operator(database_url, tmp_path)
    if "postgresql" in database_url:
        assert "cannot send e-mail" in await users(operator, "reset-factors", OLD, code=1)
        await ada.ask_reset()
    else:
        assert (await users(operator, "reset-factors", OLD)).startswith("takes effect at: 20")
    assert "pending_factors_reset: 20" in await users(operator, "show", OLD)
    token = await ada.link()
    assert "nobody is there to answer" in await users(operator, "reset-factors", OLD, "--now", code=2)
    await users(operator, "reset-factors", OLD, "--now", given="n\n", code=1)
    assert_problem(await client.login(OLD), 403, "second-factor-required")
    assert await users(operator, "reset-factors", OLD, "--now", "--yes") == "removed; sessions ended: 1\n"
    assert (await client.login(OLD)).status_code == 200
    assert_problem(await client.refresh(ada.tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await client.keep_factors(token), 400, "invalid-link")
    assert await left(database_url) == []
    assert "The user has no second factor." in await users(operator, "reset-factors", OLD, "--now", "--yes", code=1)
    told = await resets(database_url, tmp_path)
    assert [(event, (actor or "").partition(":")[0], reason) for event, actor, reason in told] == [
        ("factors.reset_planned", "admin" if "postgresql" in database_url else "cli", None),
        ("factors.reset_stopped", "cli", "other_change"),
        ("factors.reset", "cli", "operator"),
    ]


@on_sqlite
async def test_the_owner_is_told_what_an_operator_has_done_at_once(
    ada: FactorOwner, database_url: str, tmp_path: Path
) -> None:
    await users(Operator(database_url, tmp_path), "reset-factors", OLD, "--now", "--yes")
    assert "were removed from your account" in await ada.mails.notice(OLD)
