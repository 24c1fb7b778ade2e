"""A gate before rows of PostgreSQL: held from the test until all racers queue before it, then opened.

A race that is not forced passes with the guard removed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from .polling import eventually

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


class Gate:
    """A transaction of the test's own; what it has locked stays locked until it is opened."""

    def __init__(self, connection: Any, watcher: Any) -> None:
        self._connection = connection
        self._watcher = watcher
        self._transaction = connection.transaction()

    async def close(self, statement: str, *values: Any) -> None:
        """Begin, and run a statement that takes the locks."""
        await self._transaction.start()
        await self.run(statement, *values)

    async def run(self, statement: str, *values: Any) -> None:
        """Run a statement in the transaction."""
        await self._connection.execute(statement, *values)

    async def queue(self) -> int:
        """How many connections wait for a lock in this database."""
        return int(await self._watcher.fetchval(_WAITING))

    async def wait_for(self, racers: int, seconds: float = 30) -> None:
        """Wait until so many connections wait for a lock in this database; TimeoutError after `seconds`."""

        async def all_here() -> bool:
            return await self.queue() == racers

        await eventually(all_here, seconds=seconds)

    async def open(self) -> None:
        """Commit, and let the racers go."""
        await self._transaction.commit()
        self._transaction = self._connection.transaction()


@asynccontextmanager
async def gate(url: str) -> AsyncIterator[Gate]:
    """A gate in the database of this URL; it is open again after the block."""
    connection, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        yield Gate(connection, watcher)
    finally:
        await connection.close()
        await watcher.close()
