"""Finding out who has an account: neither what a refused login says nor how long it takes tells."""

import time

import argon2
import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

WRONG = "not the password at all"
FOURFOLD = "not the passwo\u0308rd \ufb01\u00e9 at all"  # another in each of NFC, NFKC, NFKD and as it is given
DEAR = argon2.PasswordHasher(memory_cost=19456, time_cost=8, parallelism=1)  # a tenth of a second or more


@pytest.fixture
async def ada(make_client: MakeClient) -> Client:
    """A client with the account ada@example.com, who may be refused as often as it takes to measure that."""
    client = await make_client(throttle={"enabled": False})
    (await client.register("ada@example.com")).raise_for_status()
    return client


async def disable(url: str) -> None:
    await run_sql(url, "UPDATE users SET is_active = false WHERE email_canonical = 'ada@example.com'")


async def test_unknown_wrong_and_disabled_are_one_answer(ada: Client, database_url: str) -> None:
    answers = [await ada.login(password=WRONG), await ada.login("nobody@example.com")]
    await disable(database_url)
    answers += [await ada.login(), await ada.login(password=WRONG)]
    for answer in answers:
        assert_problem(answer, 401, "invalid-credentials")
    bodies = [{**answer.json(), "request_id": None} for answer in answers]
    headers = [{**answer.headers, "x-request-id": None} for answer in answers]
    assert bodies == [bodies[0]] * 4
    assert headers == [headers[0]] * 4


async def test_a_wrong_password_takes_as_long_as_for_the_account_with_the_dearest_hash(
    ada: Client, database_url: str
) -> None:
    await ada.register("grace@example.com")
    await run_sql(
        database_url,
        "UPDATE users SET hashed_password = $1 WHERE email_canonical = 'grace@example.com'",
        "argon2" + DEAR.hash(PASSWORD),  # of another system
    )
    cheap = await quickest(ada, "nobody@example.com", WRONG)
    dear = await quickest(ada, "grace@example.com", WRONG)
    assert cheap < dear / 2, "until a dear hash was seen"
    await disable(database_url)
    for email in ("somebody@example.com", "ada@example.com"):
        assert await quickest(ada, email, WRONG) > dear / 2
    fourfold = await quickest(ada, "grace@example.com", FOURFOLD, of=1)
    assert fourfold > 2.5 * dear, "each spelling costs a hash of another system"
    for email in ("somebody@example.com", "ada@example.com"):
        assert await quickest(ada, email, FOURFOLD, of=1) > fourfold / 2, (
            "and with our own, or with none, the time of it"
        )
    await run_sql(database_url, "UPDATE users SET is_active = true")
    assert await quickest(ada, "ada@example.com", PASSWORD) < dear / 2, "who knows the password never waits"


async def test_nobody_waits_for_a_dear_hash_that_was_seen_long_ago(
    ada: Client, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_sql(database_url, "UPDATE users SET hashed_password = $1", DEAR.hash(PASSWORD))
    dear = await quickest(ada, "ada@example.com", WRONG)
    assert await quickest(ada, "nobody@example.com", WRONG) > dear / 2
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + 3601)
    assert await quickest(ada, "nobody@example.com", WRONG) < dear / 2


async def quickest(client: Client, email: str, password: str, of: int = 3) -> float:
    """Seconds of the quickest of so many logins: what else the machine does can only make one slower."""
    seconds = []
    for _ in range(of):
        started = time.perf_counter()
        await client.login(email, password)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


async def test_the_hash_of_a_disabled_account_is_not_even_looked_at(ada: Client, database_url: str) -> None:
    await run_sql(database_url, "UPDATE users SET hashed_password = $1", DEAR.hash(PASSWORD))
    await disable(database_url)
    disabled = await quickest(ada, "ada@example.com", PASSWORD)
    await run_sql(database_url, "UPDATE users SET is_active = true")
    assert disabled < await quickest(ada, "ada@example.com", WRONG) / 2


async def test_registering_a_taken_address_is_a_409_which_is_said_openly(make_client: MakeClient) -> None:
    client = await make_client(registration={"existing": "reveal"})
    assert (await client.register("ada@example.com")).status_code == 201
    assert_problem(await client.register("ADA@example.com"), 409, "account-exists")
