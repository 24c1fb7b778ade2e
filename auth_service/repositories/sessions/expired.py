"""Sessions whose absolute life is over: counted, and deleted in batches."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, select

from auth_service.database.connection import Connection
from auth_service.models import REFRESH_TOKENS

T = REFRESH_TOKENS.c  # and not of the class: in a command of its own nothing else would need SQLAlchemy's mappers


class Batch(NamedTuple):
    """What one step of the clean-up deleted, and how far it got."""

    deleted: int
    latest: datetime | None


class ExpiredSessions:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._dialect = connection.dialect

    async def delete_expired(self, limit: int, after: datetime | None) -> Batch:
        """Delete up to `limit` rows whose absolute life is over, the oldest first, skipping rows that are locked.

        `after` is where the batch before ended: what was deleted there is not looked at again, however long an old
        snapshot keeps it around.
        """
        address = self._dialect.row_address(REFRESH_TOKENS)
        found = select(address).where(self._is_expired())
        if after is not None:
            found = found.where(T.expires_at >= after)
        found = found.order_by(T.expires_at).limit(limit).with_for_update(skip_locked=True)
        gone = delete(REFRESH_TOKENS).where(self._dialect.is_among(address, found)).returning(T.expires_at)
        if not self._dialect.writes_in_ctes:
            times = (await self._connection.execute(gone)).scalars().all()
            return Batch(len(times), max(times, default=None))
        # The database counts them: what is not sent need not be read, in the process that answers requests meanwhile.
        times_gone = gone.cte("gone")
        summary = select(func.count(), func.max(times_gone.c.expires_at)).select_from(times_gone)
        deleted, latest = (await self._connection.execute(summary)).one()
        return Batch(deleted, latest)

    async def count_expired(self) -> int:
        statement = select(func.count()).select_from(REFRESH_TOKENS).where(self._is_expired())
        return int((await self._connection.execute(statement)).scalar_one())

    async def oldest_expired_age(self) -> timedelta | None:
        """How long ago the oldest expired row expired; None if there is none."""
        statement = select(self._now(), T.expires_at).where(self._is_expired()).order_by(T.expires_at).limit(1)
        return next((now - end for now, end in await self._connection.execute(statement)), None)

    def _is_expired(self) -> ColumnElement[bool]:
        """The condition that an absolute life is over: what had expired before a wait is expired after it."""
        return T.expires_at <= self._dialect.statement_time()
