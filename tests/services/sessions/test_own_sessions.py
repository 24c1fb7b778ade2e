"""What owners do with their sessions, on every database."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.races import Gate
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def test_the_list_names_each_device_and_marks_the_one_that_asks(ada: Client) -> None:
    phone = (await ada.login(headers={"User-Agent": "Phone/1"})).json()
    laptop = (await ada.login(headers={"User-Agent": "Laptop/2"})).json()
    items = await ada.sessions(laptop["access_token"])
    assert [(item["id"], item["user_agent"], item["current"]) for item in items] == [
        (laptop["session_id"], "Laptop/2", True),
        (phone["session_id"], "Phone/1", False),
    ]
    assert items[0]["last_used_at"] <= items[0]["created_at"] < items[0]["expires_at"]
    assert items[0]["ip"] == "127.0.0.1"


async def test_an_owner_ends_one_session_and_no_other(ada: Client) -> None:
    laptop, phone, tablet = [await ada.sign_in() for _ in range(3)]
    assert (await ada.end_session(laptop["access_token"], phone["session_id"])).status_code == 204
    assert (await ada.refresh(phone["refresh_token"])).status_code == 401
    assert (await ada.me(phone["access_token"])).status_code == 401
    assert (await ada.refresh(tablet["refresh_token"])).status_code == 200
    assert (await ada.end_session(laptop["access_token"], phone["session_id"])).status_code == 204


async def test_a_session_of_somebody_else_is_as_unknown_as_none(ada: Client) -> None:
    await ada.register("eve@example.com")
    hers, mine = await ada.sign_in("eve@example.com"), await ada.sign_in()
    foreign = await ada.end_session(hers["access_token"], mine["session_id"])
    unknown = await ada.end_session(hers["access_token"], str(uuid4()))
    assert foreign.status_code == unknown.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert (await ada.refresh(mine["refresh_token"])).status_code == 200


async def test_ending_all_others_keeps_the_one_that_asks(ada: Client) -> None:
    laptop, phone = await ada.sign_in(), await ada.sign_in()
    headers = {"Authorization": f"Bearer {laptop['access_token']}"}
    assert (await ada.delete("/auth/sessions", headers=headers)).status_code == 204
    assert (await ada.refresh(phone["refresh_token"])).status_code == 401
    assert [item["id"] for item in await ada.sessions(laptop["access_token"])] == [laptop["session_id"]]
    assert (await ada.delete("/auth/sessions?current=true", headers=headers)).status_code == 204
    assert (await ada.me(laptop["access_token"])).status_code == 401
    assert (await ada.refresh(laptop["refresh_token"])).status_code == 401


async def test_the_owner_is_told_how_a_session_ended_and_a_refused_client_is_not(ada: Client) -> None:
    laptop, phone, stolen = [await ada.sign_in() for _ in range(3)]
    await ada.logout(phone["refresh_token"])
    changed = await ada.change_password(laptop["access_token"], PASSWORD, "another long passphrase")
    now = changed.raise_for_status().json()
    ended = {item["id"]: item["ended_reason"] for item in await ada.sessions(now["access_token"], ended=True)}
    assert ended == {
        now["session_id"]: None,
        laptop["session_id"]: "password_changed",
        phone["session_id"]: "logout",
        stolen["session_id"]: "password_changed",
    }
    refusals = [await ada.refresh(tokens["refresh_token"]) for tokens in (phone, stolen)]
    assert [{**answer.json(), "request_id": ""} for answer in refusals[:1]] == [
        {**answer.json(), "request_id": ""} for answer in refusals[1:]
    ]


PATIENT = {"pool_timeout": 2, "statement_timeout": 20}  # sixty writers stand in line before an SQLite file


async def test_sixty_parallel_logins_leave_fifty_sessions_and_end_the_oldest(make_client: MakeClient) -> None:
    client = await make_client(hashing={"queue": 100, "deadline": 30}, database=PATIENT, throttle={"logins": 100})
    await client.register("ada@example.com")
    answers = await asyncio.gather(*(client.login() for _ in range(60)))
    assert Counter(answer.status_code for answer in answers) == {200: 60}
    newest = await client.sign_in()
    items = await client.sessions(newest["access_token"])
    assert len(items) == 50
    assert items[0]["id"] == newest["session_id"]
    everything: list[dict[str, Any]] = await client.sessions(newest["access_token"], ended=True)
    evicted = [item for item in everything if item["ended_reason"] == "evicted"]
    assert len(evicted) == 11
    assert max(item["created_at"] for item in evicted) <= min(item["created_at"] for item in items)


@on_postgresql
@pytest.mark.parametrize("kept", [1, 2])
async def test_of_logins_in_one_moment_no_more_are_left_than_may_be(
    make_client: MakeClient, database_url: str, kept: int
) -> None:
    """None of them sees the sessions of the others when it begins."""
    client = await make_client(sessions={"max_per_user": kept}, database=PATIENT)
    ada = (await client.register("ada@example.com")).raise_for_status().json()["id"]
    async with Gate.to(database_url) as gate:
        answers = await gate.race("users", ada, *(client.login() for _ in range(3)))
    tokens = [answer.raise_for_status().json()["access_token"] for answer in answers]
    seen = [answer for answer in [await client.me(token) for token in tokens] if answer.status_code == 200]
    assert len(seen) == kept
    assert seen[0].json()["last_login_at"] is not None


@on_a_lasting_database
async def test_sessions_that_idled_out_do_not_push_out_the_one_in_use(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(sessions={"max_per_user": 3})
    await client.register("ada@example.com")
    in_use, *left = [await client.sign_in() for _ in range(3)]
    long_ago = "'2020-01-01 00:00:00.000000'" if "sqlite" in database_url else "now() - interval '20 days'"
    others = " OR ".join(f"replace(CAST(id AS TEXT), '-', '') = '{UUID(t['session_id']).hex}'" for t in left)
    await run_sql(database_url, f"UPDATE refresh_tokens SET last_used_at = {long_ago} WHERE {others}")
    await client.sign_in()
    assert (await client.refresh(in_use["refresh_token"])).status_code == 200
