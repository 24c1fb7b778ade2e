"""`/internal/revocations` and `/internal/introspect`: what services learn that verify tokens by themselves."""

import asyncio
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

FEED = "/internal/revocations"
FORM = "application/x-www-form-urlencoded"
TOKEN = "a-token-for-the-inside"


async def introspect(client: Client, token: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.post("/internal/introspect", data={"token": token})).raise_for_status().json()
    return found


async def test_the_set_names_every_session_that_has_ended_and_no_other(ada: Client) -> None:
    kept, ended = await ada.sign_in(), await ada.sign_in()
    await ada.logout(ended["refresh_token"])
    answer = await ada.get(FEED)
    assert answer.json() == {"sids": [ended["session_id"]]}
    assert answer.headers["cache-control"] == "no-cache"
    assert kept["session_id"] not in answer.text


async def test_an_end_stays_in_the_set_until_nobody_can_take_the_token_any_more(
    make_client: MakeClient, postgres_url: str
) -> None:
    """300 seconds of life, 60 of leeway for those who verify by themselves, and 10 for the news to spread."""
    first = await make_client(postgres_url, internal_token=TOKEN)
    await first.register("ada@example.com")
    recent, old = await first.sign_in(), await first.sign_in()
    for tokens, age in ((recent, "365 seconds"), (old, "375 seconds")):
        await first.logout(tokens["refresh_token"])
        shift = "UPDATE refresh_tokens SET revoked_at = now() - $1::text::interval WHERE id = $2::text::uuid"
        await run_sql(postgres_url, shift, age, tokens["session_id"])
    second = await make_client(postgres_url, internal_token=TOKEN)
    answer = await second.get(FEED, headers={"X-Internal-Token": TOKEN})
    assert answer.json() == {"sids": [recent["session_id"]]}


async def test_an_unchanged_set_is_a_304_and_a_changed_one_has_another_etag(ada: Client) -> None:
    tokens, empty = await ada.sign_in(), await ada.get(FEED)
    etag = empty.headers["etag"]
    assert etag.startswith('"')
    unchanged = await ada.get(FEED, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    await ada.logout(tokens["refresh_token"])
    changed = await ada.get(FEED, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()) == (200, {"sids": [tokens["session_id"]]})
    assert changed.headers["etag"] != etag


async def test_very_many_ends_are_told_together_and_none_is_missing(ada: Client) -> None:
    loop, sessions = asyncio.get_running_loop(), [await ada.sign_in() for _ in range(30)]
    started, answers, etag = loop.time(), 0, (await ada.get(FEED)).headers["etag"]
    ends = asyncio.create_task(log_out_all(ada, sessions))
    known: set[str] = set()
    while len(known) < len(sessions):
        answer = await ada.get(f"{FEED}?wait=10", headers={"If-None-Match": etag})
        known, etag, answers = set(answer.json()["sids"]), answer.headers["etag"], answers + 1
    await ends
    assert known == {tokens["session_id"] for tokens in sessions}
    assert answers <= 2 + (loop.time() - started) / 0.2


async def log_out_all(client: Client, sessions: list[dict[str, Any]]) -> None:
    for tokens in sessions:
        await client.logout(tokens["refresh_token"])


async def test_a_long_poll_is_woken_by_the_revocation_itself(ada: Client) -> None:
    tokens, empty = await ada.sign_in(), await ada.get(FEED)
    known = {"If-None-Match": empty.headers["etag"]}
    waiting = asyncio.create_task(ada.get(f"{FEED}?wait=60", headers=known))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    await ada.logout(tokens["refresh_token"])
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.json() == {"sids": [tokens["session_id"]]}


async def test_a_long_poll_without_news_ends_with_a_304(client: Client) -> None:
    known = {"If-None-Match": (await client.get(FEED)).headers["etag"]}
    assert (await client.get(f"{FEED}?wait=0.1", headers=known)).status_code == 304


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
async def test_a_wait_that_is_no_number_of_seconds_up_to_60_is_refused(client: Client, wait: str) -> None:
    assert_problem(await client.get(f"{FEED}?wait={wait}"), 422, "validation-error")


async def test_an_access_token_is_active_until_its_session_ends(ada: Client) -> None:
    tokens = await ada.sign_in()
    found = await introspect(ada, tokens["access_token"])
    account = (await ada.me(tokens["access_token"])).json()
    assert found["active"] is True
    assert (found["sub"], found["sid"], found["roles"]) == (account["id"], tokens["session_id"], ["user"])
    assert (found["iss"], found["aud"], found["client_id"]) == (*["http://127.0.0.1:8000"] * 2, "first-party")
    assert found["exp"] - found["iat"] == tokens["expires_in"]
    assert found["token_type"] == "Bearer"
    assert (found["auth_time"], found["acr"], found["amr"]) == (found["iat"], "aal1", ["pwd"])
    about_refresh = await introspect(ada, tokens["refresh_token"])
    assert {name: about_refresh[name] for name in ("auth_time", "acr", "amr")} == {
        name: found[name] for name in ("auth_time", "acr", "amr")
    }
    await ada.logout(tokens["refresh_token"])
    assert await introspect(ada, tokens["access_token"]) == {"active": False}


async def test_a_refresh_token_is_active_as_long_as_a_refresh_would_take_it_and_is_not_used_up(
    make_client: MakeClient,
) -> None:
    client = await make_client(tokens={"refresh_grace": 0})
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    for _ in range(2):
        found = await introspect(client, tokens["refresh_token"])
        assert (found["active"], found["sid"]) == (True, tokens["session_id"])
    newer = await client.rotate(tokens["refresh_token"])
    assert await introspect(client, tokens["refresh_token"]) == {"active": False}
    assert (await introspect(client, newer["refresh_token"]))["active"] is True  # asking about a spent one ends nothing


@pytest.mark.parametrize("token", ["x", "art_x", "a.b.c", "\x00", "é", "a" * 5000])
async def test_anything_else_is_inactive_and_nothing_more_is_said(client: Client, token: str) -> None:
    assert await introspect(client, token) == {"active": False}


FORMS = {
    b"": "needs the parameter token",
    b"token=": "needs the parameter token",
    b"tokens=a": "needs the parameter token",
    b"token=a&token=b": "parameter token is given twice",
    b"token=a&x=1&x=1": "parameter x is given twice",
    b"token=a&%00=1&%00=1": "A parameter is given twice",
    b"token=%ff": "not UTF-8",
    b"\xff": "not UTF-8",
    b"token=a" + b"&x=1" * 20: "at most 20 parameters",
}


@pytest.mark.parametrize(("body", "told"), FORMS.items())
@pytest.mark.parametrize("path", ["/internal/introspect", "/auth/revoke"])
async def test_a_form_without_exactly_one_token_is_a_400_that_says_why(
    client: Client, path: str, body: bytes, told: str
) -> None:
    answer = await client.post(path, content=body, headers={"Content-Type": FORM})
    assert_problem(answer, 400, "invalid-request")
    assert answer.json()["error"] == "invalid_request"  # RFC 6749, section 5.2
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/internal/introspect", "/auth/revoke"])
async def test_a_body_that_is_no_form_is_a_415(client: Client, path: str) -> None:
    assert_problem(await client.post(path, json={"token": "x"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_a_revoked_token_ends_its_session_and_no_other(ada: Client, kind: str) -> None:
    tokens, other = await ada.sign_in(), await ada.sign_in()
    for hint in (kind, "nonsense"):
        answer = await ada.post("/auth/revoke", data={"token": tokens[kind], "token_type_hint": hint})
        assert (answer.status_code, answer.content) == (200, b"")
    assert (await ada.me(tokens["access_token"])).status_code == 401
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert (await ada.me(other["access_token"])).status_code == 200


@pytest.mark.parametrize("token", ["x", "art_x", "a.b.c"])
async def test_an_unknown_token_is_revoked_already(client: Client, token: str) -> None:
    assert (await client.post("/auth/revoke", data={"token": token})).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", FEED), ("POST", "/internal/introspect")])
async def test_the_inside_is_closed_on_postgresql_without_a_token(
    make_client: MakeClient, postgres_url: str, method: str, path: str
) -> None:
    client = await make_client(postgres_url)
    assert_problem(await client.request(method, path), 401, "invalid-internal-token")


@pytest.mark.parametrize("header", ["X-Internal-Token", "Authorization"])
async def test_while_the_internal_token_is_replaced_the_new_one_and_the_old_one_open_the_inside(
    make_client: MakeClient, header: str
) -> None:
    new, old = f"new-{TOKEN}", f"old-{TOKEN}"
    client = await make_client("sqlite+aiosqlite://", internal_token=f"{new}, {old}")
    for token, status in {new: 200, old: 200, TOKEN: 401, f"{new},{old}": 401, f"{new}, {old}": 401, "": 401}.items():
        sent = f"Bearer {token}" if header == "Authorization" else token
        assert (await client.get(FEED, headers={header: sent})).status_code == status, token
