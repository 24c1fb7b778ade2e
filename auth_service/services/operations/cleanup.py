"""The clean-up job: deletes sessions whose absolute life is over, counts of attempts, links and used challenges that
have expired, factors that were never confirmed, and accounts that were registered and never used.

Revoked sessions stay until then, as tripwires.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.repositories.audit.trail import Upkeep
from auth_service.repositories.transaction import Database, Transaction
from auth_service.services.operations.session_cleanup import BATCH_BUDGET, COUNT_BUDGET, REST, SessionCleanup
from auth_service.settings import DEFAULT_AUDIT_RETENTION, MAX_ACCESS_LIFETIME

log = structlog.get_logger()


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
        self.numbers = CleanupNumbers()

    async def delete_expired(
        self,
        batch_size: int,
        time_budget: timedelta | None = None,
        on_progress: Callable[[int], None] = lambda _deleted: None,
    ) -> CleanupReport:
        """Delete what has expired, `batch_size` rows to a transaction, until nothing is left or the time is up.

        Runs at the same time are harmless: one works, the others stop. So is being killed: the batches before stay.
        After each batch it rests for two fifths of the time that it took.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        started = time.monotonic()
        deadline = started + (time_budget.total_seconds() if time_budget is not None else math.inf)
        sessions = SessionCleanup(self._database, batch_size, deadline, self._telling(on_progress))
        await sessions.delete_expired()
        # A run that gives way to another does so in everything: each step takes the lock that the other one needs.
        tidied = {} if sessions.skipped else await self._tidy(batch_size, deadline)
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

    async def _tidy(self, batch_size: int, deadline: float) -> dict[str, int]:
        """Do what comes after the sessions; return what went, by its name in the report."""
        await self._forget_deleted_sessions()
        expired: dict[str, Callable[[Transaction], Coroutine[Any, Any, int]]] = {
            "throttles_deleted": lambda tx: tx.throttles.delete_expired(batch_size),
            "links_deleted": lambda tx: tx.link_uses.delete_expired(batch_size),
            "challenges_deleted": lambda tx: tx.factor_proofs.delete_spent(batch_size),
            "factors_deleted": lambda tx: tx.factor_proofs.delete_unconfirmed(batch_size),
        }
        gone = {name: await self._delete_all(delete, batch_size, deadline) for name, delete in expired.items()}
        if self._unverified_lifetime:
            gone["registrations_deleted"] = await self._expire_registrations(batch_size, deadline)
        trail = await self._keep_trail()
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

    async def _delete_all(
        self, delete: Callable[[Transaction], Coroutine[Any, Any, int]], batch_size: int, deadline: float
    ) -> int:
        """Delete what has expired, batch by batch until none is left or the time is up; return how much."""
        deleted = 0
        while True:
            begun = time.monotonic()
            async with self._database.transaction(BATCH_BUDGET) as tx:
                gone = await delete(tx) if await tx.become_only_cleaner(BATCH_BUDGET) else 0
            deleted += gone
            if gone < batch_size or time.monotonic() > deadline:
                return deleted
            await asyncio.sleep((time.monotonic() - begun) * REST)

    async def _expire_registrations(self, batch_size: int, deadline: float) -> int:
        """Delete accounts that nobody has verified or used in their lifetime; return how many."""
        expired = 0

        async def expire(tx: Transaction) -> int:
            nonlocal expired
            batch = await tx.registrations.expire(self._unverified_lifetime, batch_size)
            expired += batch.expired
            return batch.seen

        await self._delete_all(expire, batch_size, deadline)
        return expired

    async def _keep_trail(self) -> Upkeep:
        """Keep the audit trail, unless another run does. Dropping a month waits half a second for those who read."""
        try:
            async with self._database.transaction(BATCH_BUDGET) as tx:
                if await tx.become_only_cleaner(BATCH_BUDGET):
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
