"""What the clean-up tells: of one run, and of all runs of this process."""

from dataclasses import dataclass
from typing import NamedTuple

from auth_service.services.operations.pace import Pace


class CleanupReport(NamedTuple):
    """What a run did. `oldest_expired_seconds` is the age of the oldest row that is left, or None. `left` is None if
    nobody has counted: the run was cut off.
    """

    deleted: int
    batches: int
    seconds: float
    left: int | None
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

    @property
    def has_deleted(self) -> bool:
        """Whether anything is gone by it."""
        made_or_gone = self[self._fields.index("throttles_deleted") :]
        return bool(self.deleted) or any(made_or_gone)


class CleanupSurvey(NamedTuple):
    """What a run would delete. A number is None where the role of the database may not read what it would count."""

    sessions: int
    oldest_expired_seconds: float | None
    throttles: int
    links: int
    registrations: int | None
    challenges: int
    factors: int


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
    oldest_expired: float | None = None
    """Seconds for which the oldest session that is still there has been expired, when that was last looked at."""
    pace: Pace | None = None
    """That of the run that is at work."""
