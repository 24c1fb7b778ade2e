"""A session that ended in one process is refused by every other, at once and without asking the database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.endings import ENDINGS, SETTINGS, end
from tests.support.postgres import Postgres
from tests.support.processes import Pair, client_of, events
from tests.support.server import Server
from tests.support.sql import run_sql

PROMISED = 2.0  # seconds from the acknowledgement of an end to the first 401 elsewhere
FEEDS = {"listening": "true", "by the poll alone": "false"}


@pytest.fixture(scope="module", params=FEEDS)
def pair(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """Processes A and B that follow each other with and without LISTEN."""
    name = f"feed_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    url = postgres.url(name)
    env = environment(url, AUTH_REVOCATIONS__LISTEN=FEEDS[request.param], **SETTINGS)
    with Pair.start(url, env, tmp_path_factory.mktemp("feed")) as running:
        yield running
    postgres.drop_database(name)


@pytest.fixture
async def a(pair: Pair) -> AsyncIterator[Client]:
    async with client_of(pair.a) as client:
        yield client


@pytest.fixture
async def b(pair: Pair) -> AsyncIterator[Client]:
    async with client_of(pair.b) as client:
        yield client


async def own_sessions(client: Client, access_token: str) -> httpx.Response:
    """The route that never looks at the bearer's own session in the database."""
    return await client.get("/auth/sessions", headers={"Authorization": f"Bearer {access_token}"})


async def refused_in_time(client: Client, access_token: str) -> httpx.Response:
    """Ask again and again from the acknowledgement on: whatever is sent after the promised time must be refused."""
    loop = asyncio.get_running_loop()
    acknowledged = loop.time()
    while True:
        sent = loop.time()
        answer = await own_sessions(client, access_token)
        if answer.status_code == 401:
            return answer
        assert answer.status_code == 200
        assert sent < acknowledged + PROMISED, f"let in {sent - acknowledged:.2f} s after the acknowledged end"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("reason", ENDINGS)
async def test_an_access_token_outlives_its_session_by_two_seconds_at_most(
    pair: Pair, a: Client, b: Client, reason: str
) -> None:
    ended = await end(reason, pair, a)
    await refused_in_time(b, ended.access_token)
    await refused_in_time(a, ended.access_token)
    assert (await b.me(ended.access_token)).status_code == 401
    assert (await b.refresh(ended.refresh_token)).status_code == 401


async def test_the_sessions_of_a_user_deleted_in_the_database_are_refused(pair: Pair, b: Client) -> None:
    await b.register("gone@example.com")
    mine = await b.sign_in("gone@example.com")
    await run_sql(pair.url, "DELETE FROM users WHERE email = 'gone@example.com'")
    await refused_in_time(b, mine["access_token"])


async def test_a_process_that_starts_afterwards_refuses_what_ended_before_it(pair: Pair, a: Client) -> None:
    ended = await end("logout", pair, a)
    await a.register("cascade@example.com")
    deleted, (alive, _) = await a.sign_in("cascade@example.com"), await signed_in(a)
    await run_sql(pair.url, "DELETE FROM users WHERE email = 'cascade@example.com'")
    await run_sql(pair.url, "UPDATE refresh_tokens SET revoked_at = revoked_at - interval '4 minutes'")
    await run_sql(pair.url, "UPDATE deleted_sessions SET deleted_at = deleted_at - interval '4 minutes'")
    with Server(pair.env, pair.folder) as late:
        late.wait_ready()
        async with client_of(late) as client:
            assert (await own_sessions(client, ended.access_token)).status_code == 401
            assert (await own_sessions(client, deleted["access_token"])).status_code == 401
            assert (await own_sessions(client, alive)).status_code == 200


@pytest.mark.parametrize("reason", ENDINGS)
async def test_every_end_is_one_security_event_with_its_reason(pair: Pair, a: Client, b: Client, reason: str) -> None:
    ended = await end(reason, pair, a)
    await refused_in_time(b, ended.access_token)
    assert (await b.refresh(ended.refresh_token)).status_code == 401
    written = pair.a.log() + pair.b.log() + ended.said
    (event,) = events(written, "session.ended", sid=ended.session_id)
    trail = "SELECT user_id::text FROM audit_events WHERE session_id = $1 AND event = 'session.ended'"
    (owner,) = await run_sql(pair.url, trail, ended.session_id)
    assert event["user_id"] == owner[0]
    assert event["reason"] == reason
    assert event.get("behind") == (3 if reason == "reuse" else None)


async def test_whoever_is_refused_is_not_told_why(pair: Pair, a: Client, b: Client) -> None:
    ended = [await end(reason, pair, a) for reason in ENDINGS]
    bearers = [await refused_in_time(b, ending.access_token) for ending in ended]
    refreshes = [await b.refresh(ending.refresh_token) for ending in ended]
    for answers in (bearers, refreshes):
        assert {answer.status_code for answer in answers} == {401}
        assert len({str({**answer.json(), "request_id": ""}) for answer in answers}) == 1


async def signed_in(client: Client) -> tuple[str, str]:
    """Sign in somebody new; return the access token and the id of the session."""
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    tokens = await client.sign_in(email)
    return tokens["access_token"], tokens["session_id"]
