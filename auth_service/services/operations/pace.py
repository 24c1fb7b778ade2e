"""How fast the clean-up may go: a little faster as long as the database answers quickly, half as fast when it does not.

Additive increase, multiplicative decrease, as TCP finds its share of a line (RFC 5681, section 3.1), and a job that
gives way to everybody, as a background transfer does (RFC 6817). Nothing in here measures or waits.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from auth_service.settings import CleanupSettings

PERIOD = 0.1  # seconds from the beginning of a batch to that of the next one
REST = 0.4  # of the time that a batch took, at least: when batches take long, others get their turn all the same
RISE = 0.02  # of the highest rate, after each batch that was quick enough
FALL = 0.5
LONGEST = 10.0  # seconds that a slow batch is made up for by the next one
WITHIN = 0.15  # of the interval: what a run finds is gone then
UNSCHEDULED = timedelta(hours=1)  # the interval of cron, if the service has none
LAST_PART = 0.1  # of the time for a backlog; what is late then is not hurried any more


@dataclass(frozen=True)
class Speed:
    """The bounds of a run: rows per second, where 0 is full speed, and seconds that an answer may take."""

    most: float = 0.0
    least: float = 1.0
    target: timedelta = timedelta(milliseconds=10)
    within: timedelta = timedelta(minutes=9)
    """How long the backlog that a run finds may take, however slow the answers are."""

    @classmethod
    def of(cls, settings: CleanupSettings, rate: int | None = None) -> Self:
        """Return what the settings say, perhaps with another rate."""
        most = settings.rate if rate is None else rate
        return cls(most, settings.min_rate, settings.target, (settings.interval or UNSCHEDULED) * WITHIN)

    def of_the_budget(self, budget: timedelta | None) -> "Speed":
        """The same for a run that is cut off after so long: the sessions are to be gone in half of it."""
        return self if budget is None else replace(self, within=min(self.within, budget * 0.5))


FULL_SPEED = Speed()


class Pace:
    """How many rows the next batch may have, and how long to rest before it.

    Times are seconds of any clock; one that steps does no harm.
    """

    def __init__(self, speed: Speed, batch_size: int, now: float) -> None:
        self._speed = speed
        self._batch_size = batch_size
        self._begun: float | None = None
        self._due = 0.0
        self.rate = 0.0
        """Rows per second: what is allowed, and at full speed what the last batch reached."""
        self.expect(0, now)

    @property
    def is_full_speed(self) -> bool:
        return not self._speed.most

    @property
    def floor(self) -> float:
        """Rows per second below which the rate does not fall, so that the backlog is gone in time."""
        return self._floor

    def expect(self, left: float, now: float, share: float = 1.0) -> None:
        """Begin a part of the work: so many rows are to be gone in this share of the time for a backlog."""
        self._floor = min(self._speed.least, self._speed.most)
        self._owed = 0.0
        self._patience = max(self._speed.within.total_seconds() * share, PERIOD)
        self._until = now + self._patience
        self.remain(left, now)

    def remain(self, left: float, now: float) -> None:
        """Take how many rows are left: the floor rises if they would be late, and never sinks again."""
        time_left = max(self._until - now, self._patience * LAST_PART)
        self._floor = min(max(self._floor, left / time_left), self._speed.most)
        if not self.is_full_speed:
            self.rate = max(self.rate, self._floor)

    def begin_batch(self, now: float) -> int:
        """Return how many rows a batch that begins now may have: as many as are due since the last one began.

        What that one found too few rows for is due still.
        """
        since = PERIOD if self._begun is None else now - self._begun
        self._begun = now
        if self.is_full_speed:
            return self._batch_size
        self._due = min(self.rate * min(max(since, PERIOD), LONGEST) + self._owed, self._batch_size)
        return max(int(self._due), 1)

    def end_batch(self, rows: int, slowest: float, now: float) -> float:
        """Take how many rows went, and the seconds of the slowest answer; return how many seconds to rest."""
        took = max(now - (now if self._begun is None else self._begun), 0.0)
        if self.is_full_speed:
            self.rate = rows / max(took, 0.001)
            return 0.0
        if slowest > self._speed.target.total_seconds():
            self.rate = max(self.rate * FALL, self._floor)
            self._owed = 0.0
        else:
            self._owed = max(self._due - rows, -1.0)
            self.rate = min(self.rate + RISE * self._speed.most, self._speed.most)
        until_due = 1 / self.rate if rows else PERIOD  # below ten rows a second, no row is due after a tenth
        return max(PERIOD - took, until_due - took, min(took, LONGEST) * REST)
