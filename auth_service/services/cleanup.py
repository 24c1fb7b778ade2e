"""The clean-up job: deletes sessions whose absolute life is over, and counts of attempts and links that have expired.

Revoked sessions stay until then, as tripwires.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from auth_service.repositories.audit_trail import Upkeep
from auth_service.repositories.database import Database
from auth_service.repositories.expired_sessions import Batch
from auth_service.repositories.faults import TransactionConflict
from auth_service.settings import DEFAULT_AUDIT_RETENTION, MAX_ACCESS_LIFETIME

log = structlog.get_logger()

BATCH_BUDGET = timedelta(seconds=30)


@dataclass(frozen=True)
class CleanupReport:
    """What a run did. `oldest_expired_seconds` is the age of the oldest row that is left, or None."""

    deleted: int
    batches: int
    seconds: float
    left: int
    oldest_expired_seconds: float | None
    skipped: bool
    """Another run was at work, so this one stopped."""
    throttles_deleted: int = 0
    """Expired rows of attempts."""
    links_deleted: int = 0
    """Links of mails whose time is over."""
    audit_made: int = 0
    """Months of the audit trail that were made ahead; on SQLite none."""
    audit_dropped: int = 0
    """Months whose retention is over; on SQLite rows."""


class Cleanup:
    """One method for cron, for a Kubernetes CronJob and for the built-in schedule."""

    def __init__(self, database: Database, audit_retention: timedelta = DEFAULT_AUDIT_RETENTION) -> None:
        self._database = database
        self._audit_retention = audit_retention
        self.deleted = 0
        """By all runs of this process."""

    async def run(
        self,
        batch_size: int,
        time_budget: timedelta | None = None,
        on_progress: Callable[[int], None] = lambda _deleted: None,
    ) -> CleanupReport:
        """Delete what has expired, `batch_size` rows to a transaction, until nothing is left or the time is up.

        Runs at the same time are harmless: one works, the others stop. So is being killed: the batches before stay.
        After each batch it rests for as long as that took, so that half of the time belongs to requests.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        started = time.monotonic()
        deadline = started + (time_budget.total_seconds() if time_budget is not None else math.inf)
        deleted = batches = 0
        after: datetime | None = None
        while True:
            begun = time.monotonic()
            batch = await self._delete_batch(batch_size, after)
            if batch is None or not batch.deleted:
                break
            deleted, batches, after = deleted + batch.deleted, batches + 1, batch.latest
            self.deleted += batch.deleted
            on_progress(batch.deleted)
            if batch.deleted < batch_size or time.monotonic() > deadline:
                break
            await asyncio.sleep(time.monotonic() - begun)
        # Whoever gives way to another run does so in everything: each step takes the lock that the other one needs.
        skipped = batch is None
        throttles, links, trail = (0, 0, Upkeep(0, 0)) if skipped else await self._tidy(batch_size, deadline)
        found = await self._report(deleted, batches, time.monotonic() - started, skipped=skipped)
        report = replace(
            found,
            throttles_deleted=throttles,
            links_deleted=links,
            audit_made=trail.made,
            audit_dropped=trail.dropped,
        )
        log.info("cleanup.finished", **vars(report))
        return report

    async def _tidy(self, batch_size: int, deadline: float) -> tuple[int, int, Upkeep]:
        """Do what comes after the sessions; return how many counts and links went, and what became of the trail."""
        await self._forget_deleted_sessions()
        throttles = await self._delete_all(self._delete_attempts, batch_size, deadline)
        links = await self._delete_all(self._delete_links, batch_size, deadline)
        return throttles, links, await self._keep_trail()

    async def survey(self) -> CleanupReport:
        """Report what a run would find, and delete nothing."""
        return await self._report(0, 0, 0.0, skipped=False)

    async def _delete_batch(self, size: int, after: datetime | None) -> Batch | None:
        """Delete one batch and commit; None if another run holds the lock."""
        async with self._database.transaction(BATCH_BUDGET) as tx:
            if not await tx.become_only_cleaner(BATCH_BUDGET):
                return None
            return await tx.expired_sessions.delete_expired(size, after)

    async def _forget_deleted_sessions(self) -> None:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            await tx.ended_sessions.forget(after=MAX_ACCESS_LIFETIME * 2)

    async def _delete_all(
        self, delete: Callable[[int], Coroutine[Any, Any, int]], batch_size: int, deadline: float
    ) -> int:
        """Delete what has expired, batch by batch until none is left or the time is up; return how much."""
        deleted = 0
        while True:
            begun = time.monotonic()
            gone = await delete(batch_size)
            deleted += gone
            if gone < batch_size or time.monotonic() > deadline:
                return deleted
            await asyncio.sleep(time.monotonic() - begun)

    async def _delete_attempts(self, size: int) -> int:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            return await tx.throttles.delete_expired(size) if await tx.become_only_cleaner(BATCH_BUDGET) else 0

    async def _delete_links(self, size: int) -> int:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            return await tx.link_uses.delete_expired(size) if await tx.become_only_cleaner(BATCH_BUDGET) else 0

    async def _keep_trail(self) -> Upkeep:
        """Keep the audit trail, if nobody else is at it. Dropping a month waits half a second for those who read."""
        try:
            async with self._database.transaction(BATCH_BUDGET) as tx:
                if await tx.become_only_cleaner(BATCH_BUDGET):
                    return await tx.audit_trail.keep(self._audit_retention)
        except TransactionConflict:
            log.warning("audit.not_kept", hint="somebody reads the table for long; the next run tries again")
        return Upkeep(0, 0)

    async def _report(self, deleted: int, batches: int, seconds: float, *, skipped: bool) -> CleanupReport:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            left = await tx.expired_sessions.count_expired()
            oldest = await tx.expired_sessions.oldest_expired_age()
        age = oldest.total_seconds() if oldest else None
        return CleanupReport(deleted, batches, round(seconds, 3), left, age, skipped)
