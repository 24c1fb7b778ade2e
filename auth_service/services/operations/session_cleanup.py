"""One run through the expired sessions, batch by batch."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from auth_service.repositories.database import Database
from auth_service.repositories.sessions.sweep import Sweep
from auth_service.repositories.transaction import Transaction
from auth_service.services.operations.batches import Batches

COUNT_BUDGET = timedelta(minutes=10)  # what counts may have to read a whole table, of many GiB, from a slow disk
LONGEST_SEARCH = 0.2  # seconds that a batch looks for rows
BACKLOG = 20  # batches: below, to look each session up by the index is always quick enough


class SessionCleanup:
    """Deletes what has expired, the oldest first, or in stored order if there is much of it."""

    def __init__(self, database: Database, batches: Batches, size: int, on_progress: Callable[[int], None]) -> None:
        """Take the rows to a batch at most, and who is told of each batch."""
        self._database = database
        self._batches = batches
        self._size = size
        self._on_progress = on_progress
        self._sweep: Sweep | None = None
        self._after: datetime | None = None
        self._found = 0
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
        while await self._step() and await self._batches.go_on():
            self._batches.remain(self._left())

    async def _plan(self) -> None:
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            if self._database.dialect.has_page_order:
                self._sweep, self._found = await tx.session_sweep.plan(self._size * BACKLOG)
            else:
                self._found = await tx.expired_sessions.count_expired()
        if self._sweep:
            self._after = self._sweep.begun  # what has expired before is the sweep's
        self._batches.expect(self._found)

    def _left(self) -> float:
        """How many sessions there still are that had expired when the run began; in a sweep, by what it has met."""
        left = self._found - self.deleted  # a sweep counts them only as far as it has to
        if self._sweep and self._sweep.after[0]:
            return max(left, self.deleted / self._sweep.after[0] * (self._sweep.pages - self._sweep.after[0]))
        return left

    async def _step(self) -> bool:
        """Delete one batch and commit; False if that was the last one."""
        has_swept = self._sweep is not None
        deleted = await self._batches.run(self._sweep_on if self._sweep else self._delete_oldest)
        if deleted is None:
            self.skipped = True
            return False
        self.has_swept |= has_swept
        if deleted:
            self.deleted += deleted
            self.batches += 1
            self._on_progress(deleted)
        return has_swept or not self._batches.is_through

    async def _sweep_on(self, tx: Transaction, limit: int) -> int:
        """Pass as many pages as it takes to find these rows: of a large table, whole stretches may be swept already."""
        deleted, until = 0, time.monotonic() + LONGEST_SEARCH
        while self._sweep and deleted < limit:
            gone, sweep = await tx.session_sweep.delete_expired(limit - deleted, self._sweep)
            self._sweep = None if sweep.is_over else sweep
            deleted += gone
            if time.monotonic() > until:
                break
        return deleted

    async def _delete_oldest(self, tx: Transaction, limit: int) -> int:
        batch = await tx.expired_sessions.delete_expired(limit, self._after)
        self._after = batch.latest
        return batch.deleted
