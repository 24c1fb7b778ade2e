"""The largest race, on PostgreSQL, against a service of two processes: all racers queue before the start."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support import roles
from tests.support.client import Client
from tests.support.gate import Gate, gate
from tests.support.postgres import Cluster
from tests.support.server import Server
from tests.support.sql import run_sql
from tests.support.two_processes import RACERS, client_of, connections, two_processes

COUNT_UPDATES = """
CREATE SEQUENCE updates;
CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
AS 'BEGIN PERFORM nextval(''updates''); RETURN NEW; END';
CREATE TRIGGER count_updates BEFORE UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION count_update();
"""
# Each racer has a connection of its own, whichever process serves it.
ROOM = {"DB_POOL_SIZE": str(RACERS), "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "2"}


@pytest.fixture
def roomy_url(tmp_path: Path) -> Iterator[str]:
    """A migrated database on a server that takes as many connections as both processes can want."""
    with Cluster.create() as cluster:
        cluster.execute(f"ALTER SYSTEM SET max_connections = {2 * RACERS + 20}")
        cluster.restart()
        roles.prepare(cluster, "auth", environment, tmp_path)
        cluster.execute(COUNT_UPDATES, "auth")
        yield cluster.url("auth")


async def test_two_hundred_refreshes_at_once_with_one_token_give_one_successor(roomy_url: str, tmp_path: Path) -> None:
    with two_processes(roomy_url, tmp_path, **ROOM) as server:
        async with client_of(server) as client, gate(roomy_url) as held:
            await race_for_one_successor(roomy_url, server, client, held)


async def race_for_one_successor(url: str, server: Server, client: Client, held: Gate) -> None:
    token = (await client.sign_in())["refresh_token"]
    await held.close("SELECT 1 FROM refresh_tokens FOR UPDATE")
    racers = [asyncio.create_task(client.refresh(token)) for _ in range(RACERS)]
    await held.wait_for(RACERS, seconds=60)
    assert min(connections(server, url)) > 1, "both processes take part"
    await held.open()
    answers = await asyncio.gather(*racers)
    assert [answer.status_code for answer in answers] == [200] * RACERS
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    rows = "SELECT generation, cardinality(rotations), revoked_at, nextval('updates') - 1 FROM refresh_tokens"
    assert await run_sql(url, rows) == [(1, 1, None, 1)], "one row, alive, rotated once and by one racer"
    await client.rotate(successor)
