"""The clean-up job: deletes sessions whose absolute life is over, counts of attempts, links and used challenges that
have expired, factors that were never confirmed, and accounts that were registered and never used.

Revoked sessions stay until then, as tripwires.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeAlias

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.repositories.audit.trail import Upkeep
from auth_service.repositories.transaction import Database, Transaction
from auth_service.services.operations.batches import BATCH_BUDGET, Batches, Delete
from auth_service.services.operations.pace import FULL_SPEED, Pace, Speed
from auth_service.services.operations.session_cleanup import COUNT_BUDGET, SessionCleanup
from auth_service.settings import DEFAULT_AUDIT_RETENTION, MAX_ACCESS_LIFETIME

log = structlog.get_logger()

SHARE = 0.33  # of the time for the sessions, for what else expires, each
Count: TypeAlias = Callable[[Transaction], Awaitable[int]]
# What has a count is to be gone in time, like the sessions; of the others there are few.
EXPIRING: dict[str, tuple[Delete, Count | None]] = {
    "throttles_deleted": (
        lambda tx, limit: tx.throttles.delete_expired(limit),
        lambda tx: tx.throttles.count_expired(),
    ),
    "links_deleted": (lambda tx, limit: tx.link_uses.delete_expired(limit), lambda tx: tx.link_uses.count_expired()),
    "challenges_deleted": (
        lambda tx, limit: tx.factor_proofs.delete_spent(limit),
        lambda tx: tx.factor_proofs.count_spent(),
    ),
    "factors_deleted": (lambda tx, limit: tx.factor_proofs.delete_unconfirmed(limit), None),
}


class CleanupReport(NamedTuple):
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
    registrations_deleted: int = 0
    """Accounts that were registered, and never verified nor used."""
    challenges_deleted: int = 0
    """Challenges that led to a session, a day after that."""
    factors_deleted: int = 0
    """Second factors that no code has confirmed in time."""
    audit_made: int = 0
    """Months of the audit trail that were made ahead; on SQLite none."""
    audit_dropped: int = 0
    """Months whose retention is over; on SQLite rows."""


@dataclass
class CleanupNumbers:
    """What all runs of this process did, and what they left."""

    sessions: int = 0
    throttles: int = 0
    links: int = 0
    registrations: int = 0
    challenges: int = 0
    factors: int = 0
    failures: int = 0
    finished_at: float = 0.0
    """The time of the last run that was not cut off, in seconds since 1970; 0 if there was none."""
    oldest_expired: float = 0.0
    """Seconds for which the oldest session that is still there has been expired, when that was last looked at."""
    pace: Pace | None = None
    """That of the run that is at work."""


class Cleanup:
    """One method for cron, for a Kubernetes CronJob and for the built-in schedule."""

    def __init__(
        self,
        database: Database,
        audit_retention: timedelta = DEFAULT_AUDIT_RETENTION,
        unverified_lifetime: timedelta = timedelta(0),
    ) -> None:
        """Take how long the trail is kept, and how long a registration that nobody uses (0 for ever)."""
        self._database = database
        self._audit_retention = audit_retention
        self._unverified_lifetime = unverified_lifetime
        self._stopped = asyncio.Event()
        self.numbers = CleanupNumbers()

    def stop(self) -> None:
        """End the run that is at work after its batch, and begin none any more."""
        self._stopped.set()

    async def delete_expired(
        self,
        batch_size: int,
        time_budget: timedelta | None = None,
        on_progress: Callable[[int], None] = lambda _deleted: None,
        speed: Speed = FULL_SPEED,
    ) -> CleanupReport:
        """Delete what has expired, `batch_size` rows to a transaction at most, until nothing is left or the time is up.

        Runs at the same time are harmless: one works, the others stop. So is being killed: the batches before stay.
        Between batches it rests as the speed demands, and holds nothing meanwhile.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        started = time.monotonic()
        deadline = started + (time_budget.total_seconds() if time_budget is not None else math.inf)
        with self._paced(speed.of_the_budget(time_budget), batch_size) as pace:
            batches = Batches(self._database, pace, deadline, self._stopped)
            sessions = SessionCleanup(self._database, batches, batch_size, self._telling(on_progress))
            await sessions.delete_expired()
            # A run that gives way to another does so in everything: each step takes the lock that the other one needs.
            tidied = {} if sessions.skipped else await self._tidy(batches)
            await batches.finish()
        seconds = round(time.monotonic() - started, 3)
        left, oldest = await self._find_left(has_swept=sessions.has_swept)
        report = CleanupReport(
            sessions.deleted,
            sessions.batches,
            seconds,
            left,
            oldest,
            sessions.skipped,
            **tidied,
        )
        self._note(report)
        log.info("cleanup.finished", **report._asdict())
        return report

    async def look_at_oldest(self) -> None:
        """Note how long the oldest expired session has been there; raises `DatabaseUnavailable`."""
        async with self._database.statement() as tx:
            oldest = await tx.expired_sessions.oldest_expired_age()
        self.numbers.oldest_expired = oldest.total_seconds() if oldest else 0.0

    @contextmanager
    def _paced(self, speed: Speed, batch_size: int) -> Iterator[Pace]:
        """The pace of a run, which `/metrics` tells of until it ends."""
        self.numbers.pace = Pace(speed, batch_size, time.monotonic())
        try:
            yield self.numbers.pace
        finally:
            self.numbers.pace = None

    async def _tidy(self, batches: Batches) -> dict[str, int]:
        """Do what comes after the sessions; return what went, by its name in the report."""
        await self._forget_deleted_sessions()
        gone = {name: await self._delete_all(batches, *what) for name, what in EXPIRING.items()}
        if self._unverified_lifetime:
            gone["registrations_deleted"] = await self._expire_registrations(batches)
        trail = await self._keep_trail(batches)
        return {**gone, "audit_made": trail.made, "audit_dropped": trail.dropped}

    async def survey(self) -> CleanupReport:
        """Report what a run would find, and delete nothing."""
        left, oldest = await self._find_left(has_swept=False)
        return CleanupReport(0, 0, 0.0, left, oldest, skipped=False)

    def _telling(self, on_progress: Callable[[int], None]) -> Callable[[int], None]:
        def tell(deleted: int) -> None:
            self.numbers.sessions += deleted
            on_progress(deleted)

        return tell

    def _note(self, report: CleanupReport) -> None:
        numbers = self.numbers
        numbers.throttles += report.throttles_deleted
        numbers.links += report.links_deleted
        numbers.registrations += report.registrations_deleted
        numbers.challenges += report.challenges_deleted
        numbers.factors += report.factors_deleted
        numbers.oldest_expired = report.oldest_expired_seconds or 0.0
        if not report.skipped:
            numbers.finished_at = time.time()

    async def _forget_deleted_sessions(self) -> None:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            await tx.revocation_feed.forget(after=MAX_ACCESS_LIFETIME * 2)

    async def _delete_all(self, batches: Batches, delete: Delete, count: Count | None = None) -> int:
        """Delete what has expired, batch by batch until none is left or the time is up; return how much."""
        expected = await self._count(count) if count else 0
        batches.expect(expected, SHARE)
        deleted = 0
        while True:
            gone = await batches.run(delete) or 0
            deleted += gone
            if gone < batches.size or batches.is_over:
                return deleted
            batches.remain(expected - deleted)

    async def _count(self, count: Count) -> int:
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            return await count(tx)

    async def _expire_registrations(self, batches: Batches) -> int:
        """Delete accounts that nobody has verified or used in their lifetime; return how many."""
        expired = 0

        async def expire(tx: Transaction, limit: int) -> int:
            nonlocal expired
            batch = await tx.registrations.expire(self._unverified_lifetime, limit)
            expired += batch.expired
            return batch.seen

        await self._delete_all(batches, expire)
        return expired

    async def _keep_trail(self, batches: Batches) -> Upkeep:
        """Keep the audit trail, unless another run does. Dropping a month waits half a second for those who read."""
        try:
            async with self._database.transaction(BATCH_BUDGET) as tx:
                if await tx.become_only_cleaner(BATCH_BUDGET) and await batches.hold(tx):
                    return await tx.audit_trail.keep(self._audit_retention)
        except TransactionConflict:
            log.warning("audit.not_kept", hint="the table was being read for too long; the next run tries again")
        return Upkeep(0, 0)

    async def _find_left(self, *, has_swept: bool) -> tuple[int, float | None]:
        """How many sessions have expired, and for how many seconds the first one has."""
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            if has_swept:
                left, oldest = await tx.session_sweep.survey()
            else:
                left = await tx.expired_sessions.count_expired()
                oldest = await tx.expired_sessions.oldest_expired_age()
        return left, oldest.total_seconds() if oldest else None
