"""Guessing through several processes on one PostgreSQL: what counts is in the database, and races are decided there."""

import asyncio
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from auth_service.security.passwords.hashing import Passwords
from auth_service.services.throttling.turns import STATEMENTS_AT_ONCE
from auth_service.settings import PasswordSettings
from tests.conftest import MakeClient, environment
from tests.support.behind import behind_proxy
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.processes import Pair, events
from tests.support.server import Server
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, enter, guess

AT_ONCE, LIMIT, WORKERS = 300, 10, 2
PATIENCE = {"statement_timeout": 60, "connect_timeout": 60, "pool_timeout": 2}


async def test_replicas_share_one_count_and_tell_once_that_it_is_full(postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, AUTH_PROXY__TRUSTED="127.0.0.1", AUTH_THROTTLE__ADDRESS_FAILURES="8")
    with Pair.start(postgres_url, env, tmp_path) as pair:
        async with pair.clients() as (a, b):
            seen = [(await guess(door, f"user{n}@example.com")).status_code for n, door in enumerate([a, b] * 5)]
            assert seen == [401] * 8 + [429] * 2
            assert (await enter(a, client_ip=OWNER)).status_code == 401, "others may try, but there is no such account"
        (told,) = events(pair.a.log() + pair.b.log(), "throttle.blocked")
        fields = {name: told.get(name) for name in ("what", "by", "user_id", "failures")}
        assert fields == {"what": "login", "by": "address", "user_id": None, "failures": 8}


async def test_three_hundred_guesses_at_once_at_two_workers_hash_no_more_than_the_limit(
    postgres_url: str, tmp_path: Path
) -> None:
    slow = {"AUTH_PASSWORD__ARGON2_MEMORY_KIB": "19456", "AUTH_PASSWORD__ARGON2_TIME_COST": "10"}
    room = {"AUTH_HASHING__DEADLINE": "30", "AUTH_HASHING__QUEUE": "1000", "DB_POOL_TIMEOUT": "2", "DB_POOL_SIZE": "20"}
    env = environment(postgres_url, **{**slow, **room, "AUTH_THROTTLE__ACCOUNT_FAILURES": str(LIMIT)})
    limits = httpx.Limits(max_connections=AT_ONCE)
    with Server(env, tmp_path, workers=WORKERS) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=90, limits=limits) as client:
            (await client.register("ada@example.com")).raise_for_status()
            cpu, started = cpu_seconds(server), time.monotonic()
            answers = await asyncio.gather(*(guess(client) for _ in range(AT_ONCE)))
            cpu, passed = cpu_seconds(server) - cpu, time.monotonic() - started
    seen = Counter(answer.status_code for answer in answers)
    assert seen[401] <= most(LIMIT, passed, WORKERS)
    assert seen[401] + seen[429] + seen[503] == AT_ONCE
    assert cpu < AT_ONCE * hash_seconds() / 3, "those that were refused were not hashed either"


def cpu_seconds(server: Server) -> float:
    """The time that the workers have spent on a core."""
    return float(sum(psutil.Process(pid).cpu_times().user for pid in server.worker_pids()))


def hash_seconds() -> float:
    """The time that one of the hashes takes on a core."""
    passwords = Passwords(PasswordSettings(argon2_memory_kib=19456, argon2_time_cost=10))
    started = time.thread_time()
    passwords.hash("a password of this test")
    return time.thread_time() - started


def most(limit: int, passed: float, more: int = 0) -> int:
    """How many may be checked: the limit, and one more for each delay that has passed: 1, 2, 4 ... seconds."""
    return limit + max(more, int(1 + passed).bit_length())


@on_postgresql
async def test_of_guesses_that_come_to_the_database_at_one_moment_no_more_than_the_limit_get_in(
    make_client: MakeClient, database_url: str
) -> None:
    """There is room for one, as each of them sees when its statement begins."""
    client = await make_client(proxy=GATEWAY, database=PATIENCE, hashing={"deadline": 30})
    ada = (await client.register("ada@example.com")).json()["id"]
    await guess(client)
    stored = StoredAttempts(client)
    await stored.set("login", ada, failures=4)
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM throttles WHERE key = $1 FOR UPDATE", stored.key("login", ada))
        racers = [asyncio.create_task(guess(client, client_ip=f"198.51.100.{n}")) for n in range(STATEMENTS_AT_ONCE)]
        await held.wait_for(STATEMENTS_AT_ONCE)
        await held.run("UPDATE throttles SET failures = 12 WHERE key = $1", stored.key("login", ada))
        await held.open()
        seen = Counter(answer.status_code for answer in await asyncio.gather(*racers))
    assert seen == {401: 1, 429: STATEMENTS_AT_ONCE - 1}
    assert await stored.failures("login", ada) == 13


@on_postgresql
async def test_an_attempt_that_comes_too_late_on_one_count_is_taken_back_on_the_others(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(proxy=GATEWAY, database=PATIENCE)
    ada = (await client.register("ada@example.com")).json()["id"]
    await guess(client)
    stored = StoredAttempts(client)
    tallies = {stored.key(*tally): tally for tally in (("login", ada), ("logins from", ATTACKER), ("logins",))}
    last = max(tallies)
    async with gate(database_url) as held:
        await held.close("SELECT 1 FROM throttles WHERE key = $1 FOR UPDATE", last)
        late = asyncio.create_task(guess(client))
        await held.wait_for(1)
        full = "UPDATE throttles SET failures = 1000, blocked_until = now() + interval '30 seconds' WHERE key = $1"
        await held.run(full, last)
        await held.open()
        assert (await late).status_code == 429
    assert {row["pending"] for row in (await stored.rows()).values()} == {0}
    assert {await stored.failures(*tally) for key, tally in tallies.items() if key != last} == {1}


@on_postgresql
@pytest.mark.parametrize(("who", "more"), [("the owner", 0), ("a thief", 1), ("nobody", 1)])
async def test_a_right_login_is_counted_by_the_statements_that_it_needs_anyway_and_a_wrong_one_by_one_more(
    make_client: MakeClient, database_url: str, who: str, more: int
) -> None:
    database = {"pool_pre_ping": False, "pool_size": 1}
    quiet: dict[str, Any] = {"database": database, "revocations": {"poll_interval": 5, "stale_after": 6}}
    with behind_proxy(database_url) as (proxy, url):
        costs: dict[bool, int] = {}
        for enabled in (False, True):
            throttle: dict[str, Any] = {"enabled": enabled, "account_failures": 20}
            client = await make_client(url, throttle=throttle, **quiet)
            await client.register("ada@example.com")
            name = "nobody@example.com" if who == "nobody" else "ada@example.com"
            attempt = client.login if who == "the owner" else partial(guess, client, name)
            seen = []
            for _ in range(8):
                proxy.reset_counters()
                await attempt()
                seen.append(proxy.round_trips)
            costs[enabled] = min(seen)
    assert costs[True] - costs[False] == more
