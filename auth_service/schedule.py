"""What a process does by itself at long intervals: it advances keys, makes changes that are due, cleans up ..."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from auth_service.errors import Refused
from auth_service.models import REQUESTER, THE_SERVICE
from auth_service.services.factors.stoppable_change import StoppableChange
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.pace import Speed
from auth_service.services.operations.usernames import Usernames
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from auth_service.settings import CleanupSettings
from auth_service.tracing import begin

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = structlog.get_logger()

KEYS_ADVANCE = timedelta(seconds=30)
LOOK_AT_OLDEST = timedelta(seconds=60)
CHANGES_APPLY = timedelta(seconds=30)
SKELETONS_FILL = timedelta(seconds=60)
# Of the clean-up's interval: with the time that a run takes, less than the whole of it.
RUNS_EVERY, RUNS_SPREAD = 0.45, 0.05


class Schedule:
    def __init__(
        self,
        lifecycle: KeyLifecycle,
        changes: Sequence[StoppableChange],
        usernames: Usernames,
        cleanup: Cleanup,
        settings: CleanupSettings,
    ) -> None:
        self._lifecycle = lifecycle
        self._changes = changes
        self._usernames = usernames
        self._cleanup = cleanup
        self._settings = settings
        self._scheduler: AsyncIOScheduler | None = None
        self.running: set[asyncio.Task[None]] = set()
        """The jobs that are at work; they go on after `stop()`."""

    def start(self) -> None:
        """Run the jobs from now on, in the loop of the caller."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: PLC0415  # see LATER in main.py

        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # it warns of a run that outlasts its pause
        self._scheduler = scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=defaults)
        scheduler.add_job(self._run, "interval", [self._advance_keys], seconds=KEYS_ADVANCE.total_seconds(), jitter=5)
        seconds = LOOK_AT_OLDEST.total_seconds()
        scheduler.add_job(self._run, "interval", [self._look_at_oldest], seconds=seconds, jitter=10)
        # The first time now: what became due while no process ran waits for no more.
        pause, now = CHANGES_APPLY.total_seconds(), datetime.now(UTC)
        scheduler.add_job(self._run, "interval", [self._apply_changes], seconds=pause, jitter=5, next_run_time=now)
        pause = SKELETONS_FILL.total_seconds()
        scheduler.add_job(self._run, "interval", [self._fill_skeletons], seconds=pause, jitter=10, next_run_time=now)
        interval = self._settings.interval.total_seconds()
        if interval:
            # What a run misses, the next one finds and is through with before the interval is over. Spread, so that
            # replicas that were started together do not all come at once.
            pause, spread = interval * RUNS_EVERY, interval * RUNS_SPREAD
            scheduler.add_job(self._run, "interval", [self._clean_up], seconds=pause, jitter=spread)
        scheduler.start()

    def end_is_near(self) -> None:
        """Begin no batch of the clean-up any more."""
        self._cleanup.stop()

    def stop(self) -> None:
        """Begin no job any more, nor a batch of the clean-up."""
        self._cleanup.stop()
        if self._scheduler:
            self._scheduler.shutdown(wait=False)

    async def _run(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a job so that the schedule's end does not cut it off in the middle of a statement."""
        task = asyncio.create_task(job())
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        with suppress(asyncio.CancelledError):  # by stop(), of which the scheduler would tell as of an error
            await asyncio.shield(task)

    async def _advance_keys(self) -> None:
        try:
            await self._lifecycle.advance()
        except Refused as error:
            log.warning("signing_keys.not_advanced", code=error.code)

    async def _apply_changes(self) -> None:
        REQUESTER.set(THE_SERVICE)  # who had this process started did not ask for these
        for change in self._changes:
            try:
                await change.apply_due()
            except Refused as error:
                log.warning("pending_changes.not_applied", kind=change.kind, code=error.code)

    async def _fill_skeletons(self) -> None:
        try:
            await self._usernames.fill_skeletons()
        except Refused as error:
            log.warning("usernames.skeletons_not_filled", code=error.code)

    async def _clean_up(self) -> None:
        if self._cleanup.is_stopped:
            return
        with begin("cleanup"):
            try:
                await self._cleanup.delete_expired(self._settings.batch_size, speed=Speed.of(self._settings))
            except Refused as error:
                self._cleanup.numbers.failures += 1
                log.warning("cleanup.failed", code=error.code)

    async def _look_at_oldest(self) -> None:
        """For `/metrics`; also where cron cleans up."""
        try:
            await self._cleanup.look_at_oldest()
        except Refused as error:
            log.debug("cleanup.not_seen", code=error.code)
