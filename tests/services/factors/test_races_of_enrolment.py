"""Races about the first factor, forced on a real PostgreSQL: what a password alone opened never outlives it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.processes import client_of
from tests.support.races import Gate, Races, run_rounds
from tests.support.server import Server
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
async def races(raced_service: tuple[str, Server]) -> AsyncIterator[Races]:
    url, server = raced_service
    async with Gate.to(url) as gate, client_of(server) as client:
        yield Races(gate, client)


async def test_no_session_of_a_password_alone_is_alive_after_the_first_factor(races: Races) -> None:
    assert await run_rounds(races.login_against_first_factor, 150) == []


@on_a_lasting_database
async def test_of_two_confirms_at_once_one_opens_the_session(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    both = [ada.confirm_totp(tokens["access_token"], app.id, app.code(steps)) for steps in (0, 1)]
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    alive = "SELECT count(*) FROM refresh_tokens WHERE revoked_at IS NULL"
    assert await run_sql(database_url, alive) == [(1,)]
    assert await run_sql(database_url, "SELECT count(*) FROM recovery_codes") == [(10,)]


@on_a_lasting_database
async def test_of_two_enrolments_at_once_one_waits_for_its_code(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    answers = await asyncio.gather(*(ada.begin_totp(tokens["access_token"]) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [201, 201]
    waiting = "SELECT count(*) FROM factors WHERE confirmed_at IS NULL"
    assert await run_sql(database_url, waiting) == [(1,)]


@on_a_lasting_database
async def test_the_code_of_an_enrolment_opens_no_session(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    code = app.code()
    (await ada.confirm_totp(tokens["access_token"], app.id, code)).raise_for_status()
    refused = await ada.second_factor(await ada.challenge(password=PASSWORD), code)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid-second-factor")
