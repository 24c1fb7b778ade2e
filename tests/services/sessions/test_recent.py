"""What changes who gets in asks for a recent sign-in: an access token that was copied does not open it for long."""

import re
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.admins import Admin
from tests.support.client import Client, bearer
from tests.support.document import operations, resolved
from tests.support.problems import assert_problem
from tests.support.stored_session import StoredSession

NOBODY = "00000000-0000-4000-8000-000000000000"
ALWAYS = {  # beside every write of administrators
    "POST /auth/me/email", "POST /auth/me/password", "PATCH /auth/me", "DELETE /auth/me", "GET /auth/me/export",
    "DELETE /auth/sessions", "DELETE /auth/sessions/{session_id}",
    "POST /auth/me/totp", "DELETE /auth/me/factors/{factor_id}", "POST /auth/me/recovery-codes",
}  # fmt: skip


def _with_a_bearer() -> dict[str, bool]:
    """Every call that takes an access token, and whether the document says that the sign-in must be recent."""
    return {
        f"{method.upper()} {path}": "`step-up-required`" in resolved(found["responses"]["401"])["description"]
        for path, method, found in operations()
        if {"access_token": []} in found.get("security", [])
    }


CALLS = _with_a_bearer()


async def ask(client: Client, call: str, token: str) -> httpx.Response:
    """With an empty body: who may ask is decided before anybody looks for what is asked."""
    method, path = call.split()
    return await client.request(method, re.sub(r"{\w+}", NOBODY, path), headers=bearer(token), json={})


def _is_refused(answer: httpx.Response) -> bool:
    return answer.status_code == 401 and answer.json()["code"] == "step-up-required"


def test_these_calls_ask_for_it() -> None:
    assert len(CALLS) > len(ALWAYS)
    asking = {call for call, asks in CALLS.items() if asks}
    writes = {call for call in CALLS if "/admin/" in call and not call.startswith("GET ")}
    assert asking >= ALWAYS | writes


async def test_an_old_sign_in_is_refused_there_and_nowhere_else(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False})
    admin = await Admin.of(client)
    old = await StoredSession(client, admin.tokens).grows_old(admin.tokens, seconds=601)
    for call, asks in CALLS.items():
        assert _is_refused(await ask(client, call, old)) == asks, call


async def test_a_recent_one_is_let_through_everywhere(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False})
    admin = await Admin.of(client)
    young = await StoredSession(client, admin.tokens).grows_old(admin.tokens, seconds=590)
    await _open_everywhere(client, young)


async def test_a_step_up_opens_all_of_it(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False})
    admin = await Admin.of(client)
    old = await StoredSession(client, admin.tokens).grows_old(admin.tokens, days=1)
    await _open_everywhere(client, (await client.step_up(old)).json()["access_token"])


async def _open_everywhere(client: Client, token: str) -> None:
    for call in CALLS:
        answer = await ask(client, call, token)
        assert answer.status_code != 401, (call, answer.text)


async def test_the_refusal_says_what_would_do(ada: Client) -> None:
    tokens = await ada.sign_in()
    old = await StoredSession(ada, tokens).grows_old(tokens, seconds=601)
    refused = await ada.export(old)
    assert_problem(refused, 401, "step-up-required")
    assert (refused.json()["max_age"], refused.json()["acr_values"]) == (600, "aal1 aal2 phr")
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication", error_description="')
    assert challenge.endswith('", max_age="600", acr_values="aal1 aal2 phr"')


async def test_a_session_of_a_second_factor_is_told_that_it_takes_one(ada: Client) -> None:
    tokens = await ada.sign_in()
    stored = StoredSession(ada, tokens)
    await stored.change(acr="aal2", amr="pwd otp mfa")
    refused = await ada.export(await stored.grows_old(tokens, hours=1))
    assert refused.json()["acr_values"] == "aal2 phr"


async def test_how_old_is_a_setting(make_client: MakeClient) -> None:
    client = await make_client(factors={"recent": 3600})
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    stored = StoredSession(client, tokens)
    aged = await stored.grows_old(tokens, seconds=3590)
    assert (await client.export(aged)).status_code == 200
    later = await client.rotate(tokens["refresh_token"])
    refused = await client.export(await stored.grows_old(later, seconds=11))
    assert refused.json()["max_age"] == 3600


async def test_the_database_knows_how_long_ago_it_was(ada: Client) -> None:
    """A session whose sign-in is still to come was opened before the clock was set back: nobody knows how long ago."""
    tokens = await ada.sign_in()
    to_come = await StoredSession(ada, tokens).grows_old(tokens, seconds=-30)
    assert_problem(await ada.export(to_come), 401, "step-up-required")


async def test_ones_own_session_ends_with_any_good_token(ada: Client) -> None:
    tokens, other = await ada.sign_in(), await ada.sign_in()
    old = await StoredSession(ada, tokens).grows_old(tokens, days=1)
    assert_problem(await ada.end_session(old, other["session_id"]), 401, "step-up-required")
    assert (await ada.me(other["access_token"])).status_code == 200
    assert (await ada.end_session(old, tokens["session_id"])).status_code == 204
    assert_problem(await ada.me(old), 401, "invalid-access-token")


@pytest.mark.parametrize("path", ["", "?current=true", "/{other}"])
async def test_a_session_that_has_ended_ends_no_other_although_the_news_is_not_here(ada: Client, path: str) -> None:
    """Behind the back of this process, as when another one has just added a second factor."""
    tokens, other = await ada.sign_in(), await ada.sign_in()
    stored: dict[str, Any] = await StoredSession(ada, tokens).row()
    await StoredSession(ada, tokens).change(revoked_at=stored["created_at"], revoked_reason="logout")
    where = f"/auth/sessions{path.format(other=other['session_id'])}"
    refused = await ada.delete(where, headers=bearer(tokens["access_token"]))
    assert_problem(refused, 401, "invalid-access-token")
    assert (await ada.refresh(other["refresh_token"])).status_code == 200
