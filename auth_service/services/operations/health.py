"""Health: whether the database answers and has the schema that this code works on."""

import asyncio

from auth_service.database.schema import SchemaState
from auth_service.errors import DatabaseDiskFull, DatabaseUnavailable, ShuttingDown
from auth_service.repositories.probe import Probe

PATIENCE = 0.8  # seconds, so that an answer is out within one


class HealthCheck:
    """Asks through a connection of its own: a full pool is no reason to be taken out of service, a dead server is."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._running: asyncio.Task[SchemaState] | None = None
        self._ends = False

    def end_is_near(self) -> None:
        """Have no more requests sent to this process."""
        self._ends = True

    @property
    def warning(self) -> str | None:
        """What is amiss although the service can answer: on a full disk, what only reads goes on."""
        return DatabaseDiskFull.detail if self._probe.disk_was_full else None

    async def check(self) -> SchemaState:
        """Return if the service can work, and on which schema.

        Raises:
            DatabaseUnavailable: no answer within 0.8 s.
            SchemaNotReady: the schema is none that this code works on.
            MissingPrivileges: the grants are older than it.
            DatabaseReadOnly: it takes no writes.
            ShuttingDown: the process is about to end.
        """
        if self._ends:
            raise ShuttingDown
        if self._running is None or self._running.done():  # however many ask, one connection is enough
            self._running = asyncio.create_task(self._probe.check())
            self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._running}, timeout=PATIENCE)
        if not done:
            raise DatabaseUnavailable
        return self._running.result()

    async def close(self) -> None:
        if self._running and not self._running.done():
            self._running.cancel()
        await self._probe.close()
