"""Verifies the password of a login, so that the time of a refusal says nothing about the account.

Hashes differ in what they cost: an account may have one of an older system, or of other days. A wrong password is
therefore answered when the dearest kind of hash that was seen would have been, and a right one at once.
"""

import asyncio
import time
from collections import deque

from auth_service.security.passwords.hashing import Comparison, Passwords
from auth_service.security.passwords.spellings import password_spellings
from auth_service.services.passwords.hashing_lane import HashingLane

RECIPES = 32  # kinds of hash to remember, those that were seen last
SAMPLES = 64  # verifications of each
SAMPLE_LIFE = 3600.0  # seconds; what a flood made slow must not be waited for until the kind is seen again
TYPICAL = 0.95  # as long as nearly all of them took: what takes longer still would stand out otherwise
LONGEST = 2.0  # seconds; a dearer hash than this is left to stand out


class LoginCheck:
    def __init__(self, passwords: Passwords, lane: HashingLane) -> None:
        self._passwords = passwords
        self.lane = lane
        self._seconds: dict[str, deque[tuple[float, float]]] = {}

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """As `Passwords.verify`, in the lane; a wrong password waits, outside of it, for its time to be answered.

        Raises:
            HashingOverloaded: the lane is full.
        """
        given = self._passwords.comparison(password, hashed)
        recipe, hashes = given.recipe, len(given.spellings)
        right, replacement, seconds = await self.lane.run(lambda: self._timed(given))
        if not right or (replacement is None and hashes == 1):  # otherwise it was the time of more hashes or fewer
            self._remember(recipe, seconds / hashes)
        if not right:  # as for a hash of another system, which every spelling is compared with
            most = len(password_spellings(password))
            await asyncio.sleep(min(LONGEST, self._dearest()) * most - seconds)
        return right, replacement

    def _timed(self, given: Comparison) -> tuple[bool, str | None, float]:
        """Measured in the lane's thread: the time in the queue reveals nothing, and is the same for all."""
        started = time.perf_counter()
        right, replacement = self._passwords.compare(given)
        return right, replacement, time.perf_counter() - started

    def _remember(self, recipe: str, seconds: float) -> None:
        samples = self._seconds.pop(recipe, None) or deque(maxlen=SAMPLES)
        samples.append((time.perf_counter(), seconds))
        self._seconds[recipe] = samples  # the last one in the dictionary is the one that was seen last
        if len(self._seconds) > RECIPES:
            del self._seconds[next(iter(self._seconds))]

    def _dearest(self) -> float:
        """The first of a kind that was not seen for so long stands out, as the first one after the start does."""
        since = time.perf_counter() - SAMPLE_LIFE
        kinds = [sorted(seconds for at, seconds in samples if at > since) for samples in self._seconds.values()]
        return max((kind[int(TYPICAL * len(kind))] for kind in kinds if kind), default=0.0)
