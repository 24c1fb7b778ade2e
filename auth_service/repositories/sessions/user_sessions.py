"""The sessions of one user: listed and ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, or_, tuple_, update
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock, Dialect
from auth_service.models import (
    BY_PASSWORD,
    REFRESH_TOKENS,
    USERS,
    Acr,
    Authentication,
    EndReason,
    Page,
    RefreshToken,
    SecurityEvent,
    SessionView,
    Slice,
    User,
    told_use,
)
from auth_service.repositories.audit.events import AuditedChange, AuditEvents
from auth_service.repositories.factors.spending import WHO
from auth_service.repositories.users.users import is_alive

T = REFRESH_TOKENS.c


def page_of_user(
    dialect: Dialect, user_id: UUID, idle: timedelta, wanted: Slice, *, ended_too: bool
) -> SelectOfScalar[UUID]:
    """Select the ids of a user's sessions that are on a page, the newest first, and of the one behind it.

    Those that can be used; or also the others, but for what has ended and only waits for the clean-up.
    """
    session, user = aliased(RefreshToken), aliased(User)
    revoked_at, created_at, id_ = col(session.revoked_at), col(session.created_at), col(session.id)
    is_unexpired = col(session.expires_at) > dialect.now()
    chosen = select(id_).join(user, col(user.id) == col(session.user_id)).where(col(user.id) == user_id)
    if ended_too:
        chosen = chosen.where(or_(revoked_at.is_(None), is_unexpired))
    else:
        is_current = col(session.credential_epoch) == col(user.credential_epoch)
        chosen = chosen.where(revoked_at.is_(None), is_unexpired, col(session.last_used_at) > dialect.now(-idle))
        chosen = chosen.where(is_current)
    if wanted.behind is not None:
        chosen = chosen.where(tuple_(created_at, id_) < wanted.behind)
    return chosen.order_by(created_at.desc(), id_.desc()).limit(wanted.limit + 1)


def _end(chosen: Select[Any], now: ColumnElement[datetime], reason: EndReason) -> ReturningUpdate[Any]:
    """The rows are locked in one order everywhere, so that two who end sessions of one user never deadlock."""
    in_order = chosen.order_by(T.id).with_for_update()
    ended = update(REFRESH_TOKENS).values(revoked_at=now, revoked_reason=reason)
    return ended.where(T.id.in_(in_order), T.revoked_at.is_(None)).returning(T.id, T.user_id)


def _end_oldest(clock: Clock) -> ReturningUpdate[Any]:
    lives = and_(T.revoked_at.is_(None), T.expires_at > clock.at(), T.last_used_at > clock.after("minus_idle"))
    newest_first = select(T.id).where(T.user_id == WHO, lives).order_by(T.created_at.desc(), T.id.desc())
    beyond = newest_first.offset(bindparam("sessions_allowed", type_=Integer()))
    return _end(select(T.id).where(T.id.in_(beyond), T.revoked_at.is_(None)), clock.at(), EndReason.EVICTED)


# Run by every login of an account that already has as many sessions as it may have.
_END_OLDEST = AuditedChange(_end_oldest, SecurityEvent.SESSION_ENDED, user="user_id", session="id", has_several=True)


class UserSessions:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def revoke_of_user(
        self,
        user_id: UUID,
        reason: EndReason,
        *,
        only: UUID | None = None,
        keep: UUID | None = None,
        asking: UUID | None = None,
    ) -> Sequence[UUID]:
        """End the sessions of a user that are alive: all, one (`only`) or all but one (`keep`); return their ids.

        None if the session that is `asking` for it is not alive any more.
        """
        chosen = select(T.id).where(T.user_id == user_id, T.revoked_at.is_(None))
        if only is not None:
            chosen = chosen.where(T.id == only)
        if keep is not None:
            chosen = chosen.where(T.id != keep)
        if asking is not None:
            own = select(USERS.c.id).where(USERS.c.id == user_id, USERS.c.is_active, is_alive(asking, self._now()))
            chosen = chosen.where(own.exists())
        return await self._revoke(chosen, reason)

    async def revoke_oldest(self, user_id: UUID, allowed: int, idle: timedelta) -> Sequence[UUID]:
        """End what a user has beyond the allowed number of live sessions, the oldest first."""
        values = {"session_user_id": user_id, "sessions_allowed": allowed, "minus_idle": -idle}
        rows = await self._audit.execute_prepared(_END_OLDEST, values, reason=EndReason.EVICTED)
        return [row["id"] for row in rows]

    async def _revoke(self, chosen: Select[Any], reason: EndReason) -> Sequence[UUID]:
        statement, event = _end(chosen, self._now(), reason), SecurityEvent.SESSION_ENDED
        rows = await self._audit.execute(statement, event, user="user_id", session="id", reason=reason)
        return [row["id"] for row in rows]

    async def authentication_of(self, session_id: UUID) -> Authentication | None:
        """What was proved at the sign-in of a session; an older service tells nothing, and has asked for a password."""
        found = select(T.authenticated_at, T.created_at, T.acr, T.amr).where(T.id == session_id)
        row = (await self._connection.execute(found)).one_or_none()
        if row is None:
            return None
        return Authentication(
            Acr(row.acr or BY_PASSWORD.acr), row.amr or BY_PASSWORD.amr, row.authenticated_at or row.created_at
        )

    async def belongs_to(self, session_id: UUID, user_id: UUID) -> bool:
        session = await self._connection.session.get(RefreshToken, session_id)
        return session is not None and session.user_id == user_id

    async def list_of_user(
        self, user_id: UUID, idle: timedelta, wanted: Slice, *, current: UUID, ended_too: bool
    ) -> Page[SessionView]:
        """A user's sessions, the newest first: those alive, or all that are still kept; `current` asks for it.

        As their owner may see them: see `told_use()`.
        """
        page = page_of_user(self._connection.dialect, user_id, idle, wanted, ended_too=ended_too)
        statement = select(RefreshToken, self._now()).where(col(RefreshToken.id).in_(page))
        newest_first = statement.order_by(col(RefreshToken.created_at).desc(), col(RefreshToken.id).desc())
        rows = await self._connection.session.exec(newest_first)
        return Page.of([_view(session, now, current) for session, now in rows], wanted)


def _view(session: RefreshToken, now: datetime, current: UUID) -> SessionView:
    told = told_use(session.created_at, session.earlier_used_at, session.last_used_at, now)
    return SessionView(
        id=session.id, created_at=session.created_at, last_used_at=told, expires_at=session.expires_at,
        user_agent=session.user_agent, ip=session.ip, revoked_at=session.revoked_at,
        revoked_reason=session.revoked_reason, current=session.id == current,
    )  # fmt: skip
