"""Which sessions ended a short while ago, from the rows that are left and from those that are gone."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, union_all

from auth_service.database.connection import Connection
from auth_service.models import DELETED_SESSIONS, REFRESH_TOKENS


class RevocationFeed:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def list_recent(self, within: timedelta) -> Sequence[UUID]:
        """The ids of sessions that ended within this time; both halves are read from an index."""
        since = self._connection.dialect.statement_time(-within)
        ended = select(REFRESH_TOKENS.c.id).where(REFRESH_TOKENS.c.revoked_at > since)
        gone = select(DELETED_SESSIONS.c.session_id).where(DELETED_SESSIONS.c.deleted_at > since)
        return (await self._connection.execute(union_all(ended, gone))).scalars().all()

    async def forget(self, after: timedelta) -> None:
        """Delete the ids of deleted sessions that no valid access token can name any more."""
        old = DELETED_SESSIONS.c.deleted_at < self._now(-after)
        await self._connection.execute(delete(DELETED_SESSIONS).where(old))
