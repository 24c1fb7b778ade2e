"""One run through the expired sessions, batch by batch."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from auth_service.repositories.sessions.sweep import Sweep
from auth_service.repositories.transaction import Database

BATCH_BUDGET = timedelta(seconds=30)
COUNT_BUDGET = timedelta(minutes=10)  # what counts may have to read a whole table, of many GiB, from a slow disk
REST = 0.4  # of the time that a batch took; requests have the database to themselves then
BACKLOG = 20  # batches: below, to look each session up by the index is always quick enough


class SessionCleanup:
    """Deletes what has expired, the oldest first, or in stored order if there is much of it."""

    def __init__(self, database: Database, size: int, deadline: float, on_progress: Callable[[int], None]) -> None:
        """Take the rows to a batch, a time of the monotonic clock, and who is told of each batch."""
        self._database = database
        self._size = size
        self._deadline = deadline
        self._on_progress = on_progress
        self._sweep: Sweep | None = None
        self._after: datetime | None = None
        self.has_swept = False
        self.deleted = 0
        self.batches = 0
        self.skipped = False
        """Another run was at work, so this one stopped."""

    async def delete_expired(self) -> None:
        """Work until nothing is left, the time is up or another run is at work.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        await self._plan()
        goes_on = True
        while goes_on:
            begun = time.monotonic()
            goes_on = await self._step() and time.monotonic() <= self._deadline
            if goes_on:
                await asyncio.sleep((time.monotonic() - begun) * REST)

    async def _plan(self) -> None:
        if not self._database.dialect.has_page_order:
            return
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            self._sweep = await tx.session_sweep.plan(self._size * BACKLOG)
        if self._sweep:
            self._after = self._sweep.begun  # what has expired before is the sweep's

    async def _step(self) -> bool:
        """Delete one batch and commit; False if that was the last one."""
        async with self._database.transaction(BATCH_BUDGET) as tx:
            if not await tx.become_only_cleaner(BATCH_BUDGET):
                self.skipped = True
                return False
            if self._sweep:
                self.has_swept = True
                deleted, sweep = await tx.session_sweep.delete_expired(self._size, self._sweep)
                self._sweep = None if sweep.is_over else sweep
                goes_on = True
            else:
                batch = await tx.expired_sessions.delete_expired(self._size, self._after)
                deleted, self._after = batch.deleted, batch.latest
                goes_on = deleted == self._size
        if deleted:
            self.deleted += deleted
            self.batches += 1
            self._on_progress(deleted)
        return goes_on
