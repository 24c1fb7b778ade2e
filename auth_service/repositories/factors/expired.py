"""What has had its time: challenges that were used up, and factors that were never confirmed."""

from sqlalchemy import ColumnElement, delete, func, select

from auth_service.database.connection import Connection
from auth_service.database.expiry import count_expired, delete_expired
from auth_service.models import ENROLMENT_LIFE, FACTORS, SPENT_CHALLENGES

F = FACTORS.c


class ExpiredFactors:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def delete_spent(self, limit: int) -> int:
        """Delete up to `limit` challenges whose day is over, skipping those that are locked; return how many."""
        return await delete_expired(self._connection, SPENT_CHALLENGES, limit)

    async def count_spent(self) -> int:
        """Return how many a clean-up would find."""
        return await count_expired(self._connection, SPENT_CHALLENGES)

    async def delete_unconfirmed(self, limit: int) -> int:
        """Delete up to `limit` factors that no code has confirmed in time; return how many."""
        found = select(F.id).where(*self._was_never_confirmed()).limit(limit)
        gone = delete(FACTORS).where(F.id.in_(found.with_for_update(skip_locked=True)))
        return int((await self._connection.execute(gone)).rowcount)

    async def count_unconfirmed(self) -> int:
        """Return how many a clean-up would find."""
        counted = select(func.count(F.id)).where(*self._was_never_confirmed())
        return int((await self._connection.execute(counted)).scalar_one())

    def _was_never_confirmed(self) -> tuple[ColumnElement[bool], ...]:
        over = self._connection.dialect.statement_time(-ENROLMENT_LIFE)
        return F.confirmed_at.is_(None), F.created_at <= over
