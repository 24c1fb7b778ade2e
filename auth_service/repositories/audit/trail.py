"""The security trail, read from its newest end, and kept within its retention."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, tuple_
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.models import AUDIT_EVENTS, AUDIT_FLOOR, AuditEvent, SecurityEvent

A = AUDIT_EVENTS.c
MONTHS_AHEAD = 3


class AuditFilter(NamedTuple):
    """Which events are asked for, and `without` which; None asks for all. `since` is included, `until` is not."""

    user_id: UUID | None = None
    events: tuple[SecurityEvent, ...] = ()
    without: tuple[SecurityEvent, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class Upkeep(NamedTuple):
    """What was done about the trail's age: months on PostgreSQL; on SQLite nothing is made, and `dropped` is rows."""

    made: int
    dropped: int


class AuditTrail:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def find_events(
        self, wanted: AuditFilter, limit: int, before: AuditEvent | None = None
    ) -> Sequence[AuditEvent]:
        """The newest events that match, or the next ones `before` an event that was read already."""
        at, id_ = col(AuditEvent.at), col(AuditEvent.id)
        statement = select(AuditEvent).order_by(at.desc(), id_.desc()).limit(limit)
        if wanted.user_id is not None:
            statement = statement.where(col(AuditEvent.user_id) == wanted.user_id)
        if wanted.events:
            statement = statement.where(col(AuditEvent.event).in_(wanted.events))
        if wanted.without:
            statement = statement.where(col(AuditEvent.event).not_in(wanted.without))
        if wanted.since is not None:
            statement = statement.where(at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(at < wanted.until)
        if before is not None:
            statement = statement.where(tuple_(at, id_) < (before.at, before.id))
        return (await self._connection.session.exec(statement)).all()

    async def keep(self, retention: timedelta) -> Upkeep:
        """Make room for the coming months, and drop those that are older than the retention, on PostgreSQL.

        By a function that has the owner's rights, so that no role that serves or cleans up needs them.
        """
        months = func.keep_audit_months(MONTHS_AHEAD, retention).table_valued("made", "dropped")
        made, dropped = (await self._connection.session.exec(select(months.c.made, months.c.dropped))).one()
        return Upkeep(made, dropped)

    async def delete_old(self, retention: timedelta, limit: int) -> int:
        """Delete up to `limit` rows that are older than the retention, where there are no months; return how many."""
        dialect = self._connection.dialect
        address = dialect.row_address(AUDIT_EVENTS)
        old = select(address).where(A.at < self._now(-max(retention, AUDIT_FLOOR))).order_by(A.at).limit(limit)
        gone = delete(AUDIT_EVENTS).where(dialect.is_among(address, old))
        return int((await self._connection.execute(gone)).rowcount)
