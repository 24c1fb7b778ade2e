"""Races between what opens sessions and what ends them, forced on a real PostgreSQL: an end always wins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.processes import client_of
from tests.support.races import Gate, Races, run_rounds
from tests.support.server import Server
from tests.support.sql import run_sql


@pytest.fixture
async def races(raced_service: tuple[str, Server]) -> AsyncIterator[Races]:
    url, server = raced_service
    async with Gate.to(url) as gate, client_of(server) as client:
        prepared = Races(gate, client)
        await prepared.somebody()
        yield prepared


async def test_a_login_with_the_old_password_never_outlives_the_password_change(races: Races) -> None:
    assert await run_rounds(races.login_against_password_change, 150) == []


async def test_no_token_is_alive_after_a_logout_that_raced_with_a_refresh(races: Races) -> None:
    assert await run_rounds(races.logout_against_refresh, 100) == []


async def test_no_token_is_alive_after_a_password_change_that_raced_with_five_refreshes(races: Races) -> None:
    assert await run_rounds(races.refreshes_against_password_change, 12) == []


async def test_whoever_changes_the_password_has_the_one_session_that_is_left_although_five_tabs_refresh(
    races: Races,
) -> None:
    assert await run_rounds(races.own_refreshes_against_password_change, 12) == []


async def test_sixty_parallel_logins_through_two_workers_leave_fifty_sessions(
    postgres_url: str, tmp_path: Path
) -> None:
    patient = {"AUTH_HASHING__QUEUE": "100", "AUTH_HASHING__DEADLINE": "30", "DB_POOL_TIMEOUT": "2"}
    with Server(environment(postgres_url, **patient), tmp_path, workers=2) as server:
        server.wait_ready()
        async with client_of(server) as client:
            await client.register("ada@example.com")
            answers = await asyncio.gather(*(client.login() for _ in range(60)))
    assert Counter(answer.status_code for answer in answers) == {200: 60}
    assert await run_sql(postgres_url, "SELECT count(*) FROM refresh_tokens WHERE revoked_at IS NULL") == [(50,)]
    reasons = "SELECT revoked_reason, count(*) FROM refresh_tokens WHERE revoked_at IS NOT NULL GROUP BY 1"
    assert await run_sql(postgres_url, reasons) == [("evicted", 10)]
