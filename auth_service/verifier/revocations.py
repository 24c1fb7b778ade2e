"""The sessions that have ended: the service's full set, kept here and followed by long polls."""

import asyncio
import logging
import random
import time
from typing import Any
from uuid import UUID

from auth_service.verifier.errors import ServiceError, WrongInternalToken
from auth_service.verifier.service import Service

logger = logging.getLogger("auth_service.verifier")

WAIT = 10  # seconds that the service may hold an answer when nothing changes
REST = 0.2  # seconds between two questions at least: many logouts are one answer
LONGEST_RETRY = 5.0  # seconds
STALE_AFTER = 30.0  # seconds without a word


class FollowedRevocations:
    """Which sessions have ended. One that leaves the service's set is remembered for `leeway` seconds more."""

    def __init__(self, service: Service, leeway: float) -> None:
        self._service = service
        self._leeway = leeway
        self._ended: frozenset[str] = frozenset()
        self._left: dict[str, float] = {}
        self._etag: str | None = None
        self._heard_at = float("-inf")
        self._told_stale = False
        self.paused = False  # without requests, what is known is no news

    def __contains__(self, session_id: UUID) -> bool:
        name = str(session_id)
        return name in self._ended or name in self._left

    @property
    def age(self) -> float:
        """Seconds since the service last said what has ended; infinity when it never did."""
        return float("inf") if self.paused else time.monotonic() - self._heard_at

    @property
    def is_stale(self) -> bool:
        return self.age > STALE_AFTER

    async def read(self, wait: int = 0) -> None:
        """Ask for the set, and wait up to so many seconds for one that is not known yet.

        Raises:
            ServiceError: what is known stays.
        """
        found = await self._service.revocations(self._etag, wait)
        if found.changed:
            self.take(found.content)
        self._etag = found.etag
        self._heard_at = time.monotonic()

    def take(self, content: Any) -> None:
        """Replace what is known by this set; raises ServiceError when it is none."""
        sids = content.get("sids") if isinstance(content, dict) else None
        if not isinstance(sids, list) or not all(isinstance(sid, str) for sid in sids):
            raise ServiceError("not a set of sessions")
        now, ended = time.monotonic(), frozenset(sids)
        # Our leeway may be longer than the service's: it then forgets an end while we would still take the token.
        kept = {sid: until for sid, until in self._left.items() if until > now}
        self._left = kept | dict.fromkeys(self._ended - ended, now + self._leeway)
        self._ended = ended

    async def follow(self) -> None:
        """Ask again and again, for ever."""
        failures = 0
        while True:
            try:
                await self.read(0 if failures else WAIT)  # after an outage at once: what is old may keep people out
                failures, trouble = 0, ""
            except ServiceError as error:
                failures, trouble = failures + 1, str(error)
                if isinstance(error, WrongInternalToken) and failures == 1:
                    logger.error("who has logged out is not seen here: %s", error)  # noqa: TRY400  # it says enough
            except Exception as error:
                logger.exception("ended sessions were not read")  # to follow no more would be worse
                failures, trouble = failures + 1, type(error).__name__
            self._tell_staleness(trouble)
            await asyncio.sleep(_pause(failures))

    def _tell_staleness(self, trouble: str) -> None:
        if self.is_stale and not self._told_stale:
            logger.warning("%s does not say who has logged out, so it is not seen here: %s", self._service.url, trouble)
        elif self._told_stale and not self.is_stale:
            logger.info("%s says again who has logged out", self._service.url)
        self._told_stale = self.is_stale


def _pause(failures: int) -> float:
    """Seconds until the next question: after failures longer ones, and not the same for every process."""
    doubled = REST * 2 ** min(failures, 10)
    return min(doubled, LONGEST_RETRY) * random.uniform(0.5, 1) if failures else REST  # noqa: S311
