"""The row of a tally as it is now, in SQL: which failures count, whether there is room, and how long it would block."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_

from auth_service.database.dialects import Clock
from auth_service.models import THROTTLES, Allowance

T = THROTTLES.c


class TallyRow:
    """`row` has the columns of the table, by whatever name a statement gives it."""

    def __init__(self, clock: Clock, row: Any = T) -> None:
        self._at = clock.at
        self._now = clock.at()
        self._row = row

    @property
    def failures(self) -> ColumnElement[int]:
        """The failures that count: with those whose process died before it could decide, and none of an expired row."""
        row = self._row
        lost = row.failures + row.pending
        return case((row.expires_at <= self._now, 0), (row.pending_until <= self._now, lost), else_=row.failures)

    @property
    def pending(self) -> ColumnElement[int]:
        """The attempts that are not decided yet."""
        row = self._row
        return case((or_(row.expires_at <= self._now, row.pending_until <= self._now), 0), else_=row.pending)

    def has_room(self, allowed: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether it takes one more attempt: what is left of its allowance, and after the block of a delay one."""
        pending, left = self.pending, allowed - self.failures
        return and_(self._row.blocked_until <= self._now, or_(pending < 1, pending < left))

    def blocked_by_failure(self, allowance: Allowance) -> ColumnElement[Any]:
        return self._row.blocked_until if allowance.counts_successes else self.blocked_until(allowance)

    def blocked_by_success(self, allowance: Allowance) -> ColumnElement[Any]:
        return self.blocked_until(allowance) if allowance.counts_successes else self._row.blocked_until

    def blocked_until(self, allowance: Allowance) -> ColumnElement[Any]:
        """The end of the block that one more failure leads to; the longest that applies."""
        row, failures = self._row, self.failures + 1
        if not allowance.delays:
            return case((failures >= allowance.failures, self.remembered_until(allowance)), else_=row.blocked_until)
        steps = ((failures >= count, self._at(delay)) for count, delay in reversed(allowance.delays))
        return case(*steps, else_=row.blocked_until)

    def latest_block(self, allowance: Allowance) -> ColumnElement[Any]:
        """The latest end that the block of its failures can have."""
        steps = allowance.delays or ((allowance.failures, allowance.memory),)
        row = self._row
        return case(*((row.failures >= count, self._at(delay)) for count, delay in reversed(steps)), else_=self._now)

    def remembered_until(self, allowance: Allowance) -> ColumnElement[Any]:
        """Until when one more failure is kept."""
        row, fresh = self._row, self._at(allowance.memory)
        return fresh if allowance.renewed else case((row.expires_at <= self._now, fresh), else_=row.expires_at)
