"""One run: everybody acts, the nemesis stops, everybody finishes, and the database is read."""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from auth_service import logs
from auth_service.settings import LogSettings
from torture.history import History, Record, Settings, now
from torture.nemesis import Nemesis
from torture.owners import Owner
from torture.staff import Operator
from torture.thief import Follower, Loot, Thief
from torture.wire import Wire
from torture.world import DATABASE, World, served

REPORT_EVERY = 30.0
LAST_WORK = 4.0  # seconds in which a request that nobody waits for any more is done with, see wire.PATIENCE
FINISH_WITHIN = 120.0

# Generations and states as they are, and the login that made each session, which its User-Agent names.
_ROWS = """
SELECT json_build_object('what', 'row', 'session', t.id, 'user', split_part(u.email, '@', 1),
    'attempt', coalesce(t.user_agent, ''), 'generation', t.generation, 'reason', t.revoked_reason,
    'alive', t.revoked_at IS NULL AND t.credential_epoch = u.credential_epoch AND u.is_active
        AND t.expires_at > clock_timestamp(),
    'without_code', coalesce(t.acr, 'aal1') = 'aal1' AND EXISTS (
        SELECT FROM factors AS f WHERE f.user_id = t.user_id AND f.confirmed_at < t.created_at))
FROM refresh_tokens AS t JOIN users AS u ON u.id = t.user_id;
SELECT json_build_object('what', 'account', 'user', split_part(email, '@', 1), 'epoch', credential_epoch,
    'active', is_active) FROM users
"""


@dataclass(frozen=True)
class Plan:
    """What a run does; the same seed makes the same choices."""

    seconds: float
    seed: int
    owners: int
    thieves: int
    followers: int
    without: frozenset[str]
    keys: bool
    folder: Path
    settings: Settings


def run(plan: Plan) -> Path:
    """Do as planned and return the file of the history; the folder also gets the logs of every process."""
    logs.configure(LogSettings(level="error"))  # the operator's door is called in this process
    file = plan.folder / "history.jsonl"
    history = History(file)
    history.write("settings", **asdict(plan.settings), seed=plan.seed, seconds=plan.seconds, keys=plan.keys)
    try:
        with World(plan.folder, plan.settings) as world:
            asyncio.run(_live(plan, world, history))
    finally:
        history.close()
    counts = served((node.log for node in world.nodes), Record.read(file).attempts)
    with file.open("a", encoding="utf-8") as more:
        more.write(json.dumps({"what": "served", "counts": counts}) + "\n")
    return file


async def _live(plan: Plan, world: World, history: History) -> None:
    wire = Wire(history, [node.url for node in world.nodes], Random(f"{plan.seed} wire"))
    operator = Operator(history, world.database_url)
    breaking, acting = asyncio.Event(), asyncio.Event()
    nemesis = Nemesis(world, history, Random(f"{plan.seed} nemesis"), plan.without)
    try:
        async with asyncio.TaskGroup() as group:
            broken = group.create_task(nemesis.live(breaking))
            actors = [group.create_task(actor) for actor in _actors(plan, wire, operator, acting)]
            await _wait(plan.seconds, wire)
            breaking.set()
            await broken
            await asyncio.to_thread(_heal, world)
            acting.set()
            async with asyncio.timeout(FINISH_WITHIN):  # else there is no end, which the checker tells
                await asyncio.gather(*actors)
        await asyncio.sleep(LAST_WORK)
        _read_database(world, history)
    finally:
        await operator.close()
        await wire.close()


def _actors(plan: Plan, wire: Wire, operator: Operator, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
    loot = Loot()
    owners: list[Owner | Thief | Follower] = [
        Owner(
            f"owner-{number}",
            wire,
            operator,
            loot,
            Random(f"{plan.seed} owner {number}"),
            keys=plan.keys,
            adds_factor=number % 2 == 1,
        )
        for number in range(plan.owners)
    ]
    thieves: list[Owner | Thief | Follower] = [
        Thief(f"thief-{number}", wire, loot, Random(f"{plan.seed} thief {number}")) for number in range(plan.thieves)
    ]
    followers: list[Owner | Thief | Follower] = [
        Follower(f"follower-{number}", wire, loot, Random(f"{plan.seed} follower {number}"))
        for number in range(plan.followers)
    ]
    return [actor.live(stop) for actor in (*owners, *thieves, *followers)]


async def _wait(seconds: float, wire: Wire) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, REPORT_EVERY))
        print(f"{seconds - max(0.0, end - time.monotonic()):5.0f} s: {wire.new_id()[1:]} requests", flush=True)


def _heal(world: World) -> None:
    """Everything runs and answers, whatever the last act left behind."""
    world.cluster.start()
    for node in world.nodes:
        if node.server.returncode is not None:
            world.restart(node)
        node.server.wait_ready(60)


def _read_database(world: World, history: History) -> None:
    at = now()
    for line in world.cluster.execute(_ROWS, DATABASE).splitlines():
        found = json.loads(line)
        history.write(found.pop("what"), **found)
    history.write("closed", at=at)
