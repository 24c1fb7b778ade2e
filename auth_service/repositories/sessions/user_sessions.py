"""The sessions of one user: listed and ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, true, update

from auth_service.database.connection import Connection
from auth_service.models import REFRESH_TOKENS, USERS, EndReason, SecurityEvent, SessionView, told_use
from auth_service.repositories.audit.events import AuditEvents

T = REFRESH_TOKENS.c


class UserSessions:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def revoke_of_user(
        self, user_id: UUID, reason: EndReason, *, only: UUID | None = None, keep: UUID | None = None
    ) -> Sequence[UUID]:
        """End the sessions of a user that are alive: all, one (`only`) or all but one (`keep`); return their ids."""
        chosen = select(T.id).where(T.user_id == user_id, T.revoked_at.is_(None))
        if only is not None:
            chosen = chosen.where(T.id == only)
        if keep is not None:
            chosen = chosen.where(T.id != keep)
        return await self._revoke(chosen, reason)

    async def revoke_oldest(self, user_id: UUID, allowed: int, idle: timedelta) -> Sequence[UUID]:
        """End what a user has beyond the allowed number of live sessions, the oldest first."""
        beyond = (
            select(T.id)
            .where(T.user_id == user_id, T.revoked_at.is_(None), T.expires_at > self._now())
            .where(T.last_used_at > self._now(-idle))
            .order_by(T.created_at.desc(), T.id.desc())
            .offset(allowed)
        )
        return await self._revoke(select(T.id).where(T.id.in_(beyond), T.revoked_at.is_(None)), EndReason.EVICTED)

    async def _revoke(self, chosen: Select[Any], reason: EndReason) -> Sequence[UUID]:
        """The rows are locked in one order everywhere, so that two who end sessions of one user never deadlock."""
        in_order = chosen.order_by(T.id).with_for_update()
        statement = (
            update(REFRESH_TOKENS)
            .values(revoked_at=self._now(), revoked_reason=reason)
            .where(T.id.in_(in_order), T.revoked_at.is_(None))
            .returning(T.id, T.user_id)
        )
        event = SecurityEvent.SESSION_ENDED
        rows = await self._audit.execute(statement, event, user="user_id", session="id", reason=reason)
        return [row["id"] for row in rows]

    async def belongs_to(self, session_id: UUID, user_id: UUID) -> bool:
        found = select(T.id).where(T.id == session_id, T.user_id == user_id)
        return (await self._connection.execute(found)).one_or_none() is not None

    async def list_of_user(
        self, user_id: UUID, idle: timedelta, *, current: UUID, ended_too: bool
    ) -> Sequence[SessionView]:
        """A user's sessions, the newest first: those alive, or all whose rows are still kept; `current` asks for it.

        As their owner may see them: see `told_use()`.
        """
        alive = and_(
            T.revoked_at.is_(None),
            T.expires_at > self._now(),
            T.last_used_at > self._now(-idle),
            T.credential_epoch == USERS.c.credential_epoch,
        )
        statement = (
            select(
                T.id, T.created_at, T.last_used_at, T.expires_at, T.user_agent, T.ip, T.revoked_at, T.revoked_reason,
                (T.id == current).label("current"), T.earlier_used_at, self._now().label("now"),
            )
            .join(USERS, USERS.c.id == T.user_id)
            .where(T.user_id == user_id, true() if ended_too else alive)
            .order_by(T.created_at.desc(), T.id.desc())
        )  # fmt: skip
        return [_view(**row) for row in (await self._connection.execute(statement)).mappings()]


def _view(*, last_used_at: datetime, earlier_used_at: datetime | None, now: datetime, **columns: Any) -> SessionView:
    told = told_use(columns["created_at"], earlier_used_at, last_used_at, now)
    return SessionView(last_used_at=told, **columns)
