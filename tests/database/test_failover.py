"""A standby takes over under load: clients that follow the protocol stay signed in, and what ended stays ended.

Two servers with streaming replication. The standby shows everything three seconds late, so that it is always behind.
"""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.failover import Scene
from tests.support.polling import eventually
from tests.support.processes import client_of
from tests.support.traffic import Traffic

RESUMED = 5.0  # seconds from the promotion until every client is served again
ROTATING = environment("", AUTH_TOKENS__REFRESH_GRACE="0")  # with each refresh of the traffic
FORGOTTEN = 3  # rotations, the most that can be made good


async def test_clients_survive_a_failover_that_forgets_their_last_rotations(tmp_path: Path) -> None:
    async with Scene.set_up(ROTATING, tmp_path) as scene, Traffic(scene.base_urls) as traffic:
        sessions = {tokens["session_id"] for tokens in traffic.tokens}
        await traffic.goes_on()
        traffic.allow(0)
        await scene.has_received_everything()
        await scene.cut()
        traffic.allow(FORGOTTEN)
        await traffic.goes_on()
        await asyncio.to_thread(scene.primary.stop, "immediate")
        traffic.allow(None)
        await eventually(was_answered, traffic, 503)
        await asyncio.to_thread(scene.standby.promote)
        await traffic.goes_on(RESUMED)
        await scene.ready()
        await traffic.goes_on()
        assert {tokens["session_id"] for tokens in traffic.tokens} == sessions
        skipped = scene.skipped()
        assert len(skipped) == len(sessions)
        assert set(skipped) <= {1, 2, 3}
    assert traffic.statuses == {200, 503}
    assert traffic.lost == 0


async def was_answered(traffic: Traffic, status: int) -> bool:
    return status in traffic.statuses


async def test_clients_survive_a_failover_from_a_primary_that_hangs(tmp_path: Path) -> None:
    """It still takes connections and never answers, as behind a network that has lost it."""
    async with Scene.set_up(ROTATING, tmp_path) as scene, Traffic(scene.base_urls) as traffic:
        sessions = {tokens["session_id"] for tokens in traffic.tokens}
        await traffic.goes_on()
        await asyncio.to_thread(scene.primary.freeze)
        await eventually(was_answered, traffic, 503)
        await asyncio.to_thread(scene.standby.promote)
        await traffic.goes_on(RESUMED)
        await scene.ready()
        assert {tokens["session_id"] for tokens in traffic.tokens} == sessions
    assert traffic.statuses == {200, 503}


@pytest.mark.parametrize("level", ["remote_write", "remote_apply"])
async def test_a_logout_that_a_synchronous_standby_has_acknowledged_survives_the_failover(
    tmp_path: Path, level: str
) -> None:
    """With remote_apply every commit waits until the standby shows it, so this one may not be late."""
    async with (
        Scene.set_up(environment(""), tmp_path, delay=0) as scene,
        client_of(scene.processes[0]) as client,
    ):
        await client.register("ada@example.com")
        mine, other = await client.sign_in(), await client.sign_in()
        await scene.demand_acknowledgement(level)
        assert (await client.logout(mine["refresh_token"])).status_code == 204
        await scene.fail_over()
        await scene.ready()
        for process in scene.processes:
            async with client_of(process) as one:
                assert (await one.refresh(mine["refresh_token"])).status_code == 401
                assert (await one.me(mine["access_token"])).status_code == 401
        assert (await client.refresh(other["refresh_token"])).status_code == 200


async def test_without_one_an_acknowledged_logout_can_be_forgotten(tmp_path: Path) -> None:
    """What docs/failover.md warns of."""
    async with Scene.set_up(environment(""), tmp_path) as scene, client_of(scene.processes[0]) as client:
        await client.register("ada@example.com")
        mine = await client.sign_in()
        await scene.has_received_everything()
        await scene.cut()
        assert (await client.logout(mine["refresh_token"])).status_code == 204
        assert (await client.refresh(mine["refresh_token"])).status_code == 401
        await scene.fail_over()
        await scene.ready()
        assert (await client.refresh(mine["refresh_token"])).status_code == 200
