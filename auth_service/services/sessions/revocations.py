"""Which sessions have ended: each process remembers those that a valid access token could still name."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import structlog

from auth_service.database.notifications import Notifications
from auth_service.errors import DatabaseUnavailable, Unavailable
from auth_service.repositories.database import Database
from auth_service.services.sessions.revocation_document import Document, RevocationDocument
from auth_service.settings import RevocationSettings

log = structlog.get_logger()

OVERLAP = timedelta(seconds=15)  # a row is stamped when its transaction writes it and seen when that commits
FULL_READ_EVERY = 60.0  # seconds
RELISTEN_AFTER = 1.0  # seconds


class NewsTooOld(Unavailable):
    detail = "Which sessions have ended is not known just now; try again."


class Revocations:
    """A set of ended sessions, fed by notifications at once and by a poll always."""

    def __init__(
        self, database: Database, notifications: Notifications, settings: RevocationSettings, remember: timedelta
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._settings = settings
        self._remember = remember.total_seconds()
        self._ended: dict[UUID, float] = {}
        self._made_at = time.monotonic()
        self._read_at = float("-inf")
        self._read_fully_at = float("-inf")
        self._told_stale = False
        self._stopping = asyncio.Event()
        self._more = asyncio.Event()
        self._document = RevocationDocument(self._ended)

    def is_ended(self, session_id: UUID) -> bool:
        return session_id in self._ended

    @property
    def remembered(self) -> int:
        return len(self._ended)

    async def document(self) -> Document:
        """Return the whole set in order; under many changes after a fifth of a second.

        Raises:
            NewsTooOld: there may be more that are not known here.
        """
        document = await self._document.get()
        if self.is_stale:
            raise NewsTooOld
        return document

    async def wait_for_more(self, seconds: float) -> None:
        """Return when a session has ended that is not in the document, after `seconds`, or on `release()`."""
        if self._document.is_outdated:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()

    def release(self) -> None:
        """Release all waiting requests, so that none holds up the end of the process."""
        self._more.set()
        self._more = asyncio.Event()

    @property
    def is_stale(self) -> bool:
        """True when the last reading is too old to be trusted; the database must then be asked."""
        return time.monotonic() - self._read_at > self._settings.stale_after.total_seconds()

    @property
    def age(self) -> float:
        """Seconds since the last reading; before the first one, since the start."""
        return time.monotonic() - max(self._read_at, self._made_at)

    def add(self, sessions: Iterable[UUID]) -> None:
        """Remember sessions that this process has just ended and committed."""
        for session_id in sessions:
            self.remember(session_id)

    def remember(self, session_id: UUID) -> None:
        is_new = session_id not in self._ended
        self._ended[session_id] = time.monotonic() + self._remember
        if is_new:
            self._document.is_outdated = True
            self.release()

    async def read(self) -> None:
        """Read what has ended since the last reading, with an overlap, and now and then everything.

        Raises:
            DatabaseUnavailable: what is remembered stays.
        """
        started = time.monotonic()
        since_last = started - self._read_at + OVERLAP.total_seconds()
        fully = started - self._read_fully_at > FULL_READ_EVERY or since_last > self._remember
        within = timedelta(seconds=self._remember if fully else since_last)
        async with self._database.statement() as tx:
            found = await tx.revocation_feed.list_recent(within)
        for session_id in found:
            if session_id not in self._ended:
                self.remember(session_id)
        self._forget(started)
        self._read_at = started
        self._read_fully_at = started if fully else self._read_fully_at

    def _forget(self, now: float) -> None:
        over = [session_id for session_id, until in self._ended.items() if until < now]
        for session_id in over:
            del self._ended[session_id]
        if over:
            self._document.is_outdated = True

    async def follow(self) -> None:
        """Read again and again, and listen beside it, until `stop()` is called."""
        listens = self._settings.listen and self._notifications.available
        listening = asyncio.create_task(self._listen()) if listens else None
        try:
            while not self._stopping.is_set():
                await self._poll()
        finally:
            if listening:
                listening.cancel()

    def stop(self) -> None:
        """Let `follow()` end after the reading that it is at; a statement that is cut off may hold its connection."""
        self._stopping.set()

    async def _poll(self) -> None:
        try:
            await self.read()
        except DatabaseUnavailable:
            log.debug("revocations.not_read")
        except Exception:
            log.exception("revocations.not_read")  # whatever it was: to follow no more would be worse
        self._tell_staleness()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.poll_interval.total_seconds()):
                await self._stopping.wait()
        self._tell_staleness()

    async def _listen(self) -> None:
        while True:
            try:
                await self._notifications.listen(self.remember)
            except DatabaseUnavailable:
                log.debug("revocations.not_listening")
            except Exception:
                log.exception("revocations.not_listening")
            await asyncio.sleep(RELISTEN_AFTER)

    def _tell_staleness(self) -> None:
        if self._read_at == float("-inf"):
            return  # nothing was ever known, and `service.not_ready` tells what is waited for
        if self.is_stale and not self._told_stale:
            log.warning("revocations.stale", hint="every access token is checked in the database until this ends")
        elif self._told_stale and not self.is_stale:
            log.info("revocations.fresh")
        self._told_stale = self.is_stale
