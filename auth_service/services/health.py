"""Health: whether the database answers and has the schema that this code works on."""

import asyncio

from auth_service.errors import DatabaseUnavailable
from auth_service.repositories.probe import Probe

PATIENCE = 0.8  # seconds, so that an answer is out within one


class Health:
    """Asks through a connection of its own: a full pool is no reason to be taken out of service, a dead server is."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._running: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Return if the service can work.

        Raises:
            DatabaseUnavailable: no answer within 0.8 s.
            SchemaNotReady: the schema is not at head.
        """
        if self._running is None or self._running.done():  # however many ask, one connection is enough
            self._running = asyncio.create_task(self._probe.check())
            self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._running}, timeout=PATIENCE)
        if not done:
            raise DatabaseUnavailable
        self._running.result()

    async def close(self) -> None:
        if self._running and not self._running.done():
            self._running.cancel()
        await self._probe.close()
