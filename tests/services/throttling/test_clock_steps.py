"""The database's clock is set back, after a machine that was ahead has written: nobody waits until it has caught up."""

from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.problems import assert_problem
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, enter, guess

DAY = 24 * 3600
STEPS = pytest.mark.parametrize("ahead", [{"minutes": 10}, {"days": 400}], ids=str)


async def open_with(make_client: MakeClient, **throttle: int) -> tuple[Client, StoredAttempts, str]:
    """A client of a service with these limits, its rows, and the id of ada@example.com."""
    client = await make_client(proxy=GATEWAY, throttle=throttle)
    registered = await client.register("ada@example.com")
    return client, StoredAttempts(client), str(registered.raise_for_status().json()["id"])


async def set_back(stored: StoredAttempts, ahead: dict[str, int]) -> None:
    """Whatever is stored was written by a clock that was so far ahead."""
    await stored.time_passes(**{unit: -value for unit, value in ahead.items()})


def wait_of(refused: httpx.Response) -> int:
    assert_problem(refused, 429, "too-many-attempts")
    return int(refused.headers["retry-after"])


@STEPS
async def test_tallies_that_are_not_full_let_everybody_in_at_once(
    make_client: MakeClient, ahead: dict[str, Any]
) -> None:
    client, stored, ada = await open_with(make_client)
    assert [(await guess(client)).status_code for _ in range(3)] == [401] * 3
    assert (await enter(client)).status_code == 200
    assert (await guess(client)).status_code == 401
    await set_back(stored, ahead)
    assert (await enter(client)).status_code == 200
    assert (await client.register("grace@example.com")).status_code == 201
    assert (await client.forgot_password()).status_code in {202, 503}  # 503: without mail
    await set_back(stored, ahead)
    assert (await guess(client)).status_code == 401
    assert await stored.failures("login", ada, OWNER) <= 1, "the owner's network is still the owner's"


@STEPS
async def test_a_delay_that_was_running_is_no_longer_than_before_and_gives_no_guess_away(
    make_client: MakeClient, ahead: dict[str, Any]
) -> None:
    client, stored, ada = await open_with(make_client)
    for failures, delay in ((0, 0), (5, 2), (13, 512), (39, 900), (49, DAY)):
        if failures:
            await stored.set("login", ada, failures=failures)
        assert (await guess(client)).status_code == 401
        await set_back(stored, ahead)
        if failures:
            waits = [wait_of(await guess(client)) for _ in range(2)]
            assert delay - 2 <= waits[1] <= waits[0] <= delay
            assert await stored.failures("login", ada) == failures + 1
            assert wait_of(await enter(client, client_ip=ATTACKER)) <= delay, "nor is the right password tried"


@STEPS
async def test_a_window_that_was_full_is_closed_for_one_window_more_at_most(
    make_client: MakeClient, ahead: dict[str, Any]
) -> None:
    client, stored, _ = await open_with(make_client, address_failures=2, global_failures=4)
    for name in ("one", "two"):
        assert (await guess(client, f"{name}@example.com")).status_code == 401
    await set_back(stored, ahead)
    assert 590 <= wait_of(await guess(client, "three@example.com")) <= 600
    for name in ("three", "four"):
        assert (await guess(client, f"{name}@example.com", "192.0.2.67")).status_code == 401
    await set_back(stored, ahead)
    assert 50 <= wait_of(await guess(client, "five@example.com", "192.0.2.68")) <= 60
    await stored.time_passes(seconds=61)
    assert (await guess(client, "five@example.com", "192.0.2.68")).status_code == 401


@STEPS
async def test_reservations_of_a_process_that_died_then_hold_nobody_up(
    make_client: MakeClient, ahead: dict[str, Any]
) -> None:
    client, stored, ada = await open_with(make_client)
    assert (await guess(client)).status_code == 401
    await stored.set("login", ada, failures=3, pending=2)
    await set_back(stored, ahead)
    assert (await enter(client, client_ip=ATTACKER)).status_code in {503, 200}  # while they may still be decided
    await stored.time_passes(seconds=60)
    assert (await enter(client, client_ip=ATTACKER)).status_code == 200
