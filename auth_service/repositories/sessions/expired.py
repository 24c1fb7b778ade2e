"""Sessions whose absolute life is over: counted, and deleted in batches."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, literal_column, select

from auth_service.database.clock import time_of
from auth_service.database.connection import Connection
from auth_service.models import REFRESH_TOKENS

T = REFRESH_TOKENS.c


@dataclass(frozen=True)
class Batch:
    """What one step of the clean-up deleted, and how far it got."""

    deleted: int
    latest: datetime | None


class ExpiredSessions:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    async def delete_expired(self, limit: int, after: datetime | None) -> Batch:
        """Delete up to `limit` rows whose absolute life is over, the oldest first, skipping rows that are locked.

        `after` is where the batch before ended: what was deleted there is not looked at again, however long an old
        snapshot keeps it around.
        """
        found = select(_row_address(self._dialect)).where(self._is_expired())
        if after is not None:
            found = found.where(T.expires_at >= after)
        found = found.order_by(T.expires_at).limit(limit).with_for_update(skip_locked=True)
        address = _row_address(self._dialect)
        if self._dialect != "postgresql":
            statement = delete(REFRESH_TOKENS).where(address.in_(found)).returning(T.expires_at)
            times = (await self._connection.execute(statement)).scalars().all()
            return Batch(len(times), max(times, default=None))
        # An array and not IN: PostgreSQL then fetches the rows by address. It counts them too: what is not sent need
        # not be read, in the process that answers requests meanwhile.
        gone = delete(REFRESH_TOKENS).where(address == func.any(func.array(found.scalar_subquery())))
        times_gone = gone.returning(T.expires_at).cte("gone")
        summary = select(func.count(), func.max(times_gone.c.expires_at)).select_from(times_gone)
        deleted, latest = (await self._connection.execute(summary)).one()
        return Batch(deleted, latest)

    async def count_expired(self) -> int:
        statement = select(func.count()).select_from(REFRESH_TOKENS).where(self._is_expired())
        count: int = (await self._connection.execute(statement)).scalar_one()
        return count

    async def oldest_expired_age(self) -> timedelta | None:
        """How long ago the oldest expired row expired; None if there is none."""
        now = time_of(self._connection)
        statement = select(T.expires_at, now.label("now")).where(self._is_expired()).order_by(T.expires_at).limit(1)
        row = (await self._connection.execute(statement)).one_or_none()
        return row.now - row.expires_at if row else None

    def _is_expired(self) -> Any:
        """The condition that an absolute life is over, in a form for which PostgreSQL uses the index.

        It does not for `clock_timestamp()`, which may change from row to row. A statement that waited judges by the
        time before the wait, and what had expired then is expired now.
        """
        on_postgresql = self._dialect == "postgresql"
        return T.expires_at <= (func.statement_timestamp() if on_postgresql else time_of(self._connection))


def _row_address(dialect: str) -> Any:
    return literal_column("refresh_tokens.ctid" if dialect == "postgresql" else "refresh_tokens.rowid")
