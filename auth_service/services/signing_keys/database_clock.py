"""What the database's clock says, known without asking for it: tokens are issued and judged by the one clock."""

import time
from datetime import datetime, timedelta

import structlog

from auth_service.database import wall_clock

log = structlog.get_logger()

LEAST_TOLERATED = timedelta(seconds=1)
LONGEST_REQUEST = 10.0  # seconds; no statement that a request waits for is older when its answer is made


class DatabaseClock:
    """Follows the database's clock by times that are read anyway; on SQLite it is this machine's own.

    In between, the time is counted by a clock that nobody sets. `tolerated` is how far this machine's own clock may be
    from the database's before that is reported; nothing here depends on it.
    """

    def __init__(self, tolerated: timedelta, *, is_own: bool) -> None:
        self._tolerated = max(tolerated, LEAST_TOLERATED).total_seconds()
        self._is_own = is_own
        self._ahead_of_monotonic = time.time() - time.monotonic()
        self._told_apart = False

    def now(self) -> float:
        """The database's time, in seconds since 1970."""
        return wall_clock.now().timestamp() if self._is_own else time.monotonic() + self._ahead_of_monotonic

    @property
    def offset(self) -> float:
        """By how many seconds the database's clock is ahead of this machine's; negative if it is behind."""
        return self.now() - time.time()

    @property
    def is_apart(self) -> bool:
        """Whether the two differ by more than is tolerated."""
        return abs(self.offset) > self._tolerated

    def heard(self, told: datetime, asked: float) -> None:
        """Take a time that a statement has just returned, which was sent at `asked` of the monotonic clock."""
        self._take(told, asked)
        self._tell()

    def saw(self, told: datetime) -> None:
        """Take a time that a statement returned within the last seconds: by this the database's clock may be set, and
        a token that was issued by it is good at once.
        """
        self._take(told, time.monotonic() - LONGEST_REQUEST)

    def _take(self, told: datetime, asked: float) -> None:
        """It was true at some moment since then: what is believed moves no further than it must."""
        at = told.timestamp()
        least, most = at - time.monotonic(), at - asked
        self._ahead_of_monotonic = min(max(self._ahead_of_monotonic, least), most)

    def _tell(self) -> None:
        """Log once when the clocks part, and when they are together again."""
        apart = self.is_apart
        if apart and not self._told_apart:
            hint = "tokens are judged by the database's clock; set the clock of this machine, or of the database's"
            log.warning("clock.apart", offset=round(self.offset, 1), hint=hint)
        elif self._told_apart and not apart:
            log.info("clock.together", offset=round(self.offset, 1))
        self._told_apart = apart
