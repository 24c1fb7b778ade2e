"""Guessing at one account: the delay grows, there is a hard stop, and parallel guesses buy nothing."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.foreign_hashes import bcrypt_hash
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql
from tests.support.stored_attempts import ATTACKER, GATEWAY, WRONG, StoredAttempts, enter, guess

DAY = 24 * 3600
DISK_IS_FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$
"""
# All the time that a crowd needs: what is tested is who is let in.
PATIENCE: dict[str, Any] = {
    "hashing": {"deadline": 30},
    "database": {"statement_timeout": 60, "connect_timeout": 60, "pool_timeout": 2, "pool_size": 30},
}


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    """A client that comes from any address it likes."""
    return await make_client(proxy=GATEWAY, **PATIENCE)


@pytest.fixture
async def ada(client: Client) -> str:
    """The id of the account ada@example.com, also known as ada."""
    return str((await client.register("ada@example.com", username="ada")).raise_for_status().json()["id"])


@pytest.fixture
def stored(client: Client) -> StoredAttempts:
    return StoredAttempts(client)


def wait_of(refused: httpx.Response) -> int:
    """The seconds that a refusal asks for."""
    assert_problem(refused, 429, "too-many-attempts")
    return int(refused.headers["retry-after"])


async def test_from_the_fifth_failure_on_each_doubles_the_delay(
    client: Client, stored: StoredAttempts, ada: str
) -> None:
    assert [(await guess(client)).status_code for _ in range(5)] == [401] * 5
    for before, delay in [(10, 64), (11, 128), (12, 256), (13, 512), (14, 900), (40, 900)]:
        await stored.set("login", ada, failures=before)
        assert (await guess(client)).status_code == 401
        assert delay - 60 < wait_of(await enter(client)) <= delay
    assert await stored.failures("login", ada) == 41


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_login_whose_new_hash_cannot_be_written_gives_back_its_own_attempt_alone(
    client: Client, stored: StoredAttempts, ada: str, database_url: str
) -> None:
    await run_sql(database_url, f"UPDATE users SET hashed_password = '{bcrypt_hash(PASSWORD)}'")
    await run_sql(database_url, DISK_IS_FULL)
    await run_sql(
        database_url,
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit_events FOR EACH ROW"
        " WHEN (NEW.event = 'password.rehashed') EXECUTE FUNCTION full_disk()",
    )
    assert (await guess(client)).status_code == 401
    # Another one is being checked meanwhile.
    await stored.set("login", ada, pending=1, pending_until=datetime.now(UTC) + timedelta(minutes=1))
    assert (await enter(client)).status_code == 200
    await released(client)
    row = (await stored.rows())[stored.key("login", ada)]
    assert (row["failures"], row["pending"]) == (0, 1)


async def released(client: Client) -> None:
    """Wait for what is being taken back."""
    app: Any = client._transport.app  # type: ignore[attr-defined]
    await app.state.services.login._throttle.close()


async def test_after_fifty_failures_in_a_row_nobody_may_guess_for_a_day_and_then_once(
    client: Client, stored: StoredAttempts, ada: str
) -> None:
    await guess(client)
    await stored.set("login", ada, failures=49)
    assert (await guess(client)).status_code == 401
    assert DAY - 60 < wait_of(await enter(client)) <= DAY
    await stored.time_passes(seconds=DAY)
    assert (await guess(client)).status_code == 401
    assert DAY - 60 < wait_of(await enter(client)) <= DAY
    await stored.time_passes(seconds=DAY)
    assert (await enter(client)).status_code == 200
    assert await stored.failures("login", ada) == 0


async def test_a_hundred_and_one_guesses_from_as_many_addresses_do_not_open_the_account(
    client: Client, stored: StoredAttempts, ada: str
) -> None:
    answers = [await guess(client, client_ip=f"198.51.100.{number}") for number in range(101)]
    seen = Counter(answer.status_code for answer in answers)
    assert set(seen) == {401, 429}
    assert seen[401] < 12, "five, and one for each delay that has passed meanwhile: 1, 2, 4 ... seconds"
    await stored.set("login", ada, failures=30)
    await guess(client, client_ip="198.51.100.200")
    wait = wait_of(await enter(client))
    await stored.time_passes(seconds=wait)
    assert (await enter(client)).status_code == 200
    assert await stored.failures("login", ada) == 0


async def test_an_unknown_account_is_refused_like_a_known_one(client: Client, stored: StoredAttempts, ada: str) -> None:
    seen = []
    for email, account in [("ada@example.com", ada), ("nobody@example.com", "nobody@example.com")]:
        answers = [await guess(client, email)]
        await stored.set("login", account, failures=14)
        answers += [await guess(client, email), await guess(client, email)]
        seen.append([_told(answer) for answer in answers])
    assert [status for status, _, _ in seen[0]] == [401, 401, 429]
    assert seen[0] == seen[1]


def _told(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What an answer says, without the number of the request, and with the wait in minutes."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    if "retry-after" in headers:
        headers["retry-after"] = str(round(int(headers["retry-after"]) / 60))
    headers["content-length"] = str(int(headers["content-length"]) - len(answer.json()["request_id"]))
    return answer.status_code, body, headers


async def test_the_address_and_the_name_of_an_account_share_one_count(
    client: Client, stored: StoredAttempts, ada: str
) -> None:
    for number in range(4):
        who = {"username": "Ada"} if number % 2 else {"email": "ADA@example.com"}
        assert (await client.post("/auth/login", json={**who, "password": WRONG})).status_code == 401
    assert await stored.failures("login", ada) == 4


async def test_a_success_forgets_the_failures_before(client: Client, stored: StoredAttempts, ada: str) -> None:
    assert [(await guess(client)).status_code for _ in range(4)] == [401] * 4
    assert (await enter(client)).status_code == 200
    assert await stored.failures("login", ada) == 0
    assert await stored.failures("logins from", ATTACKER) == 4, "of that address they are failures still"
    assert await stored.pending() == 0


async def test_twenty_right_logins_at_once_all_work(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, **PATIENCE)
    ada = (await client.register("ada@example.com")).json()["id"]
    stored = StoredAttempts(client)
    answers = await asyncio.gather(*(enter(client, client_ip=f"192.0.2.{number % 4}") for number in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert await stored.failures("login", ada) == 0
    assert await stored.pending() == 0


async def test_guesses_at_once_are_as_many_as_guesses_one_after_the_other(
    make_client: MakeClient,
) -> None:
    client = await make_client(proxy=GATEWAY, throttle={"account_failures": 3}, **PATIENCE)
    ada = (await client.register("ada@example.com")).json()["id"]
    stored = StoredAttempts(client)
    started = asyncio.get_running_loop().time()
    guesses = [guess(client, client_ip=f"198.51.100.{number}") for number in range(40)]
    seen = Counter(answer.status_code for answer in await asyncio.gather(*guesses))
    passed = 1 + asyncio.get_running_loop().time() - started
    assert set(seen) == {401, 429}
    assert seen[401] <= 3 + int(passed).bit_length(), "the limit, and one for each delay that has passed: 1, 2, 4 ..."
    assert await stored.failures("login", ada) == seen[401]


async def test_a_login_that_was_never_checked_is_not_counted(make_client: MakeClient) -> None:
    slow = {"argon2_memory_kib": 19456, "argon2_time_cost": 10}
    client = await make_client(proxy=GATEWAY, password=slow, hashing={"threads": 1, "queue": 0})
    stored = StoredAttempts(client)
    answers = await asyncio.gather(*(guess(client, "nobody@example.com") for _ in range(5)))
    seen = Counter(answer.status_code for answer in answers)
    assert set(seen) == {401, 503}

    async def is_settled() -> bool:
        return await stored.pending() == 0

    await eventually(is_settled)
    for tally in (("login", "nobody@example.com"), ("logins from", ATTACKER), ("logins",)):
        assert await stored.failures(*tally) == seen[401]


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_a_login_that_cannot_be_noted_does_not_stay_undecided(make_client: MakeClient, database_url: str) -> None:
    """There the login's time and the attempt's success have one fate, as behind PgBouncer."""
    client = await make_client(throttle={"account_failures": 1}, hashing={"deadline": 1})
    (await client.register("ada@example.com")).raise_for_status()
    await run_sql(database_url, "CREATE TRIGGER broken BEFORE UPDATE ON users BEGIN UPDATE missing SET x = 1; END")
    assert [(await client.login()).status_code for _ in range(3)] == [200] * 3


async def test_a_guess_whose_process_died_counts_as_a_failure(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY, hashing={"deadline": 0.1})
    ada = (await client.register("ada@example.com")).json()["id"]
    stored = StoredAttempts(client)
    await guess(client)
    await stored.set("login", ada, pending=4, pending_until=datetime.now(UTC) + timedelta(seconds=10))
    assert_problem(await enter(client), 503, "overloaded")  # they may be right: whoever comes now waits for them
    await stored.time_passes(seconds=10)
    assert (await guess(client)).status_code == 401
    assert await stored.failures("login", ada) == 6
    assert (await stored.rows())[stored.key("login", ada)]["pending"] == 0
    wait_of(await enter(client))


async def test_the_current_password_cannot_be_guessed_with_a_stolen_access_token(
    client: Client, stored: StoredAttempts, ada: str
) -> None:
    signed_in = await client.sign_in()
    token, session = signed_in["access_token"], signed_in["session_id"]
    new = "another long passphrase"
    assert [(await client.change_password(token, WRONG, new)).status_code for _ in range(5)] == [401] * 5
    await stored.set("password", ada, session, failures=13)
    assert (await client.change_password(token, WRONG, new)).status_code == 401
    assert wait_of(await client.change_password(token, PASSWORD, new)) > 60
    assert (await client.login()).status_code == 200, "signing in is counted apart"
    await stored.time_passes(seconds=900)
    assert (await client.change_password(token, PASSWORD, new)).status_code == 200
    assert await stored.failures("password", ada, session) == await stored.failures("password", ada) == 0


async def test_the_operator_can_turn_it_off(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False, "refreshes": 1, "registrations": 2})
    for name in ("ada", "bob", "eve"):
        assert (await client.register(f"{name}@example.com")).status_code == 201
    assert [(await guess(client)).status_code for _ in range(10)] == [401] * 10
    tokens = await client.sign_in()
    assert [(await client.change_password(tokens["access_token"], WRONG, WRONG)).status_code for _ in range(8)] == [
        401
    ] * 8
    await client.rotate(tokens["refresh_token"], times=3)
    assert await StoredAttempts(client).rows() == {}
