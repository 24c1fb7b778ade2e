"""Who breaks things: one act every 0.5 to 3 s, chosen at random. What each act says of itself is in `ACTS`."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from tests.support.postgres import PostgresError
from torture.history import History, now
from torture.keys import KeyRoom
from torture.world import Node, World

PAUSE = (0.5, 3.0)
FREEZE = (1.0, 6.0)
SWALLOW = (0.2, 2.0)
OFTEN = {"swallow": 3}  # the one that a client cannot tell from a slow service; the others have weight 1
CLIENTS = "auth_service"  # the application_name of the service's connections


class Nemesis:
    def __init__(self, world: World, history: History, rng: Random, without: frozenset[str]) -> None:
        self._world, self._history, self._rng = world, history, rng
        self._keys = KeyRoom(world, rng)
        self._enabled = [name for name in ACTS if name not in without]

    async def live(self, stop: asyncio.Event) -> None:
        """Act until told to stop; then everything runs again."""
        while not stop.is_set() and self._enabled:
            await asyncio.sleep(self._rng.uniform(*PAUSE))
            weights = [OFTEN.get(name, 1) for name in self._enabled]
            await self._act(self._rng.choices(self._enabled, weights)[0])

    async def _act(self, name: str) -> None:
        start, failed, kid = now(), None, None
        try:
            kid = await ACTS[name](self)
        except (PostgresError, RuntimeError, LookupError, OSError, TimeoutError) as error:
            failed = f"{type(error).__name__}: {str(error)[:200]}"  # such as a command that met the last act's ruins
        self._history.write("event", name=name, start=start, end=now(), kid=kid, failed=failed)

    def _node(self) -> Node:
        return self._rng.choice(self._world.nodes)

    async def kill_worker(self) -> None:
        """kill -9 one worker; its supervisor starts another. Without a supervisor the process is started again."""
        node = self._node()
        pid = self._rng.choice(node.server.worker_pids())
        os.kill(pid, signal.SIGKILL)
        if pid == node.server.pid:
            await asyncio.to_thread(self._world.restart, node)

    async def kill_server(self) -> None:
        """kill -9 all of one process's workers with it, and start it again."""
        node = self._node()
        await asyncio.to_thread(node.server.kill)
        await asyncio.to_thread(self._world.restart, node)

    async def roll(self) -> None:
        """SIGTERM one process, as in a rolling update, and start it again."""
        node = self._node()
        await asyncio.to_thread(node.server.terminate, 30)
        await asyncio.to_thread(self._world.restart, node)

    async def kill_backend(self) -> None:
        """SIGKILL one of PostgreSQL's backends: the server breaks all connections and recovers."""
        await asyncio.to_thread(self._world.cluster.kill_one_backend, CLIENTS)
        await asyncio.to_thread(self._world.cluster.wait_ready)

    async def terminate_backends(self) -> None:
        """End all connections of the service in order."""
        await asyncio.to_thread(self._world.cluster.terminate_backends, CLIENTS)

    async def freeze(self) -> None:
        """SIGSTOP the database for a while: nothing is refused, nothing is answered."""
        await asyncio.to_thread(self._world.cluster.freeze)
        try:
            await asyncio.sleep(self._rng.uniform(*FREEZE))
        finally:
            await asyncio.to_thread(self._world.cluster.thaw)

    async def restart_fast(self) -> None:
        """Restart the database in order."""
        await asyncio.to_thread(self._world.cluster.restart, "fast")

    async def restart_immediate(self) -> None:
        """Restart the database as after a crash."""
        await asyncio.to_thread(self._world.cluster.restart, "immediate")

    async def swallow(self) -> None:
        """Lose the answers of one process, after the work has been done, and then the connections too."""
        proxy = self._node().proxy
        proxy.swallow_answers()
        await asyncio.sleep(self._rng.uniform(*SWALLOW))
        proxy.reset()
        proxy.pass_through()

    async def cleanup(self) -> None:
        """Run the operator's clean-up beside the traffic."""
        await asyncio.to_thread(self._world.command, "cleanup")

    async def rotate_keys(self) -> str:
        """Publish a new signing key."""
        return await asyncio.to_thread(self._keys.rotate)

    async def advance_keys(self) -> None:
        """Let the minutes pass that a key waits before it signs, and before it goes."""
        await asyncio.to_thread(self._keys.age)

    async def revoke_key(self) -> str:
        """Revoke a key that signs or still verifies."""
        return await asyncio.to_thread(self._keys.revoke)


ACTS: dict[str, Callable[[Nemesis], Coroutine[Any, Any, str | None]]] = {
    name.replace("_", "-"): getattr(Nemesis, name)
    for name in (
        "kill_worker", "kill_server", "roll", "kill_backend", "terminate_backends", "freeze", "restart_fast",
        "restart_immediate", "swallow", "cleanup", "rotate_keys", "advance_keys", "revoke_key",
    )
}  # fmt: skip
