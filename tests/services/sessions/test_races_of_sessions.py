"""Races about the life of a session, on PostgreSQL, against a service of two processes, each forced in both orders."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.support.client import Client
from tests.support.gate import Gate, gate
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.server import Server
from tests.support.sql import run_sql
from tests.support.two_processes import client_of, two_processes

HOLD = "SELECT 1 FROM refresh_tokens WHERE id = $1 FOR UPDATE"
ALIVE_WITH_OLD_CREDENTIALS = """
SELECT count(*) FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
WHERE revoked_at IS NULL AND refresh_tokens.credential_epoch <> users.credential_epoch
"""
RAISE_EPOCH = "UPDATE users SET credential_epoch = credential_epoch + 1"
REVOKE_ALL = "UPDATE refresh_tokens SET revoked_at = now(), revoked_reason = 'password' WHERE revoked_at IS NULL"
# A login stops here after it has read its user's row, and before its session is there.
STOP_BEFORE_INSERT = """
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
CREATE TRIGGER stop BEFORE INSERT ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION stop();
"""
LOGINS, ROUNDS = 3, 15


@pytest.fixture(scope="module")
def arena_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """The URL of the database that these races share."""
    name = f"races_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def arena(arena_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service that they share."""
    # All racers may be with one process: each has a connection there, and none waits for another to be opened.
    settings = {"AUTH_THROTTLE__ENABLED": "false", "DB_POOL_SIZE": "25"}
    with two_processes(arena_url, tmp_path_factory.mktemp("races"), **settings) as server:
        yield server


@pytest.fixture
async def client(arena: Server) -> AsyncIterator[Client]:
    """A client of that service, where ada@example.com has an account."""
    async with client_of(arena) as client:
        yield client


@pytest.fixture
async def held(arena_url: str) -> AsyncIterator[Gate]:
    """A gate in its database."""
    async with gate(arena_url) as held:
        yield held


async def test_no_login_with_the_old_password_survives_a_password_change_that_came_first(
    arena_url: str, client: Client, held: Gate
) -> None:
    for _ in range(ROUNDS):
        await held.close(RAISE_EPOCH)
        await held.run(REVOKE_ALL)
        logins = [asyncio.create_task(client.login()) for _ in range(LOGINS)]
        await queueing_or_done(held, logins)
        await held.open()
        assert [answer.status_code for answer in await asyncio.gather(*logins)] == [401] * LOGINS
        assert await run_sql(arena_url, ALIVE_WITH_OLD_CREDENTIALS) == [(0,)]
    await client.rotate((await client.sign_in())["refresh_token"])


async def test_no_login_with_the_old_password_survives_a_password_change_that_came_second(
    arena_url: str, client: Client, held: Gate
) -> None:
    await run_script(arena_url, STOP_BEFORE_INSERT)
    for _ in range(ROUNDS):
        await held.close("SELECT pg_advisory_xact_lock(1)")
        logins = [asyncio.create_task(client.login()) for _ in range(LOGINS)]
        await held.wait_for(LOGINS)
        change = asyncio.create_task(change_password(arena_url))
        await queueing_or_done(held, [*logins, change])
        await held.open()
        await change
        assert await run_sql(arena_url, ALIVE_WITH_OLD_CREDENTIALS) == [(0,)]
        for answer in await asyncio.gather(*logins):
            assert answer.status_code == 401 or await is_dead(client, answer.json()["refresh_token"])
    await client.rotate((await client.sign_in())["refresh_token"])


async def queueing_or_done(held: Gate, racers: list[asyncio.Task[Any]]) -> None:
    """Wait until each racer queues, or has got past the gate, which is for the test to find out."""

    async def arrived() -> bool:
        done = sum(racer.done() for racer in racers)
        return await held.queue() + done >= len(racers)

    await eventually(arrived, seconds=30)


async def change_password(url: str) -> None:
    """What a password change does to the tables, in one transaction."""
    await run_script(url, f"BEGIN; {RAISE_EPOCH}; {REVOKE_ALL}; COMMIT")


async def run_script(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def is_dead(client: Client, token: str) -> bool:
    return (await client.refresh(token)).status_code == httpx.codes.UNAUTHORIZED


Racer = Coroutine[Any, Any, httpx.Response]
SPENT_LONG_AGO = "UPDATE refresh_tokens SET rotations = ARRAY[now() - interval '1 hour'] WHERE id = $1"


@pytest.mark.parametrize("end", ["logout", "reuse"])
async def test_no_refresh_outlives_the_end_of_its_session_whoever_comes_first(
    arena_url: str, client: Client, held: Gate, end: str
) -> None:
    for number in range(2 * ROUNDS):
        parent = await client.sign_in()
        head = await client.rotate(parent["refresh_token"])
        await run_sql(arena_url, SPENT_LONG_AGO, head["session_id"])
        ending = {"logout": client.logout, "reuse": client.refresh}[end](parent["refresh_token"])
        refreshing = client.refresh(head["refresh_token"])
        refresh, _ = await race(held, head, refreshing, ending, refresh_first=bool(number % 2))
        assert refresh.status_code == (200 if number % 2 else 401)
        received = [refresh.json()["refresh_token"]] if refresh.is_success else []
        for token in (head["refresh_token"], parent["refresh_token"], *received):
            assert await is_dead(client, token)
        rows = await run_sql(arena_url, "SELECT revoked_reason FROM refresh_tokens WHERE id = $1", head["session_id"])
        assert rows == [(end,)]


async def race(
    held: Gate, tokens: dict[str, Any], refresh: Racer, ending: Racer, *, refresh_first: bool
) -> tuple[httpx.Response, httpx.Response]:
    """Queue a refresh and the end of its session before the session's row, in this order, and let them go."""
    await held.close(HOLD, tokens["session_id"])
    tasks: list[asyncio.Task[httpx.Response]] = []
    for racer in (refresh, ending) if refresh_first else (ending, refresh):
        tasks.append(asyncio.create_task(racer))
        await held.wait_for(len(tasks))
    await held.open()
    first, second = await asyncio.gather(*tasks)
    return (first, second) if refresh_first else (second, first)


async def test_a_token_and_its_parent_presented_at_once_rotate_once_and_give_no_token_of_a_branch(
    arena_url: str, client: Client, held: Gate
) -> None:
    parent = await client.sign_in()
    head = await client.rotate(parent["refresh_token"])
    await held.close(HOLD, head["session_id"])
    racers = [asyncio.create_task(client.refresh(head["refresh_token"])) for _ in range(10)]
    await held.wait_for(10)
    late = [asyncio.create_task(client.refresh(parent["refresh_token"])) for _ in range(10)]
    await queueing_or_done(held, [*racers, *late])
    await held.open()
    answers = await asyncio.gather(*late, *racers)
    assert [answer.status_code for answer in answers] == [200] * 20
    given_to_parent = {answer.json()["refresh_token"] for answer in answers[:10]}
    (second,) = {answer.json()["refresh_token"] for answer in answers[10:]}
    assert given_to_parent <= {head["refresh_token"], second}, "the current one before or after the rotation"
    rows = await run_sql(arena_url, "SELECT generation FROM refresh_tokens WHERE id = $1", head["session_id"])
    assert rows == [(2,)]
    await client.rotate(second)


async def test_a_refresh_waits_for_no_other_session(client: Client, held: Gate) -> None:
    await client.register("eve@example.com")
    held_up, same_user, other_user = (
        await client.sign_in(),
        await client.sign_in(),
        await client.sign_in("eve@example.com"),
    )
    await held.close(HOLD, held_up["session_id"])
    waiting = asyncio.create_task(client.refresh(held_up["refresh_token"]))
    await held.wait_for(1)
    for tokens in (same_user, other_user):
        await client.rotate(tokens["refresh_token"], times=3)
    assert not waiting.done()
    await held.open()
    assert (await waiting).status_code == 200


async def test_a_refresh_waits_for_nobody_who_changes_its_user(client: Client, held: Gate) -> None:
    token = (await client.sign_in())["refresh_token"]
    await held.close("SELECT 1 FROM users FOR UPDATE")
    async with asyncio.timeout(30):
        await client.rotate(token, times=3)
