"""The clean-up job: deletes sessions whose absolute life is over, counts of attempts, links and used challenges that
have expired, factors that were never confirmed, and accounts that were registered and never used.

Revoked sessions stay until then, as tripwires.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from auth_service.repositories.database import Database
from auth_service.services.operations.batches import Batches
from auth_service.services.operations.cleanup_report import CleanupNumbers, CleanupReport, CleanupSurvey
from auth_service.services.operations.other_expired import OtherExpired
from auth_service.services.operations.pace import FULL_SPEED, Pace, Speed
from auth_service.services.operations.session_cleanup import COUNT_BUDGET, SessionCleanup
from auth_service.settings import DEFAULT_AUDIT_RETENTION

log = structlog.get_logger()


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
        self.cut_off: CleanupReport | None = None
        """What a run has done that failed or was cancelled; what it left, nobody has counted."""

    def stop(self) -> None:
        """End the run that is at work after its batch, and begin none any more."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

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
            other = OtherExpired(self._database, batches, self._audit_retention, self._unverified_lifetime)
            try:
                async with batches:
                    await sessions.delete_expired()
                    if not sessions.skipped:  # else it gives way in everything: each step takes the other's lock
                        await other.delete_all()
                seconds = round(time.monotonic() - started, 3)
                left, oldest = await self._find_left(has_swept=sessions.has_swept)
            except BaseException:
                seconds = round(time.monotonic() - started, 3)
                done = sessions.deleted, sessions.batches, seconds
                self.cut_off = CleanupReport(*done, None, None, sessions.skipped, **other.gone)
                raise
        report = CleanupReport(
            sessions.deleted, sessions.batches, seconds, left, oldest, sessions.skipped, **other.gone
        )  # fmt: skip
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

    async def count_sessions(self) -> int:
        """How many sessions have expired; raises `DatabaseUnavailable`."""
        return (await self._find_left(has_swept=False))[0]

    async def survey(self) -> CleanupSurvey:
        """Count what a run would find, and delete nothing; raises `DatabaseUnavailable`."""
        left, oldest = await self._find_left(has_swept=False)
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            lifetime = self._unverified_lifetime
            return CleanupSurvey(
                left, oldest,
                throttles=await tx.throttles.count_expired(),
                links=await tx.link_uses.count_expired(),
                registrations=await tx.registrations.count_expired(lifetime) if lifetime else 0,
                challenges=await tx.expired_factors.count_spent(),
                factors=await tx.expired_factors.count_unconfirmed(),
            )  # fmt: skip

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
