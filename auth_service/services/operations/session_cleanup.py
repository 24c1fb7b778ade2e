"""One run through the expired sessions, batch by batch."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from auth_service.repositories.sessions.sweep import Sweep
from auth_service.repositories.transaction import Database, Transaction
from auth_service.services.operations.batches import Batches

COUNT_BUDGET = timedelta(minutes=10)  # what counts may have to read a whole table, of many GiB, from a slow disk
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
        while await self._step() and not self._batches.is_over:
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
        if self._sweep and self._sweep.after[0]:
            return self.deleted / self._sweep.after[0] * (self._sweep.pages - self._sweep.after[0])
        return self._found - self.deleted

    async def _step(self) -> bool:
        """Delete one batch and commit; False if that was the last one."""
        has_swept = self._sweep is not None
        deleted = await self._batches.run(partial(self._sweep_on, self._sweep) if self._sweep else self._delete_oldest)
        if deleted is None:
            self.skipped = True
            return False
        self.has_swept |= has_swept
        if deleted:
            self.deleted += deleted
            self.batches += 1
            self._on_progress(deleted)
        return has_swept or deleted == self._batches.size

    async def _sweep_on(self, begun: Sweep, tx: Transaction, limit: int) -> int:
        deleted, sweep = await tx.session_sweep.delete_expired(limit, begun)
        self._sweep = None if sweep.is_over else sweep
        return deleted

    async def _delete_oldest(self, tx: Transaction, limit: int) -> int:
        batch = await tx.expired_sessions.delete_expired(limit, self._after)
        self._after = batch.latest
        return batch.deleted
