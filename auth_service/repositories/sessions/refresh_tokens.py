"""Sessions: one row per signed-in device. Guards sit in the statements, so that the database judges every race."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, false, func, select, update

from auth_service.database.connection import Connection
from auth_service.models import (
    AUDIT_EVENTS,
    BY_PASSWORD,
    REFRESH_TOKENS,
    USERS,
    Device,
    EndReason,
    SecurityEvent,
    SessionRules,
    SessionState,
)
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.sessions.rotation import AUTHENTICATION, ROTATE, ROTATE_WITH_KEY

A, T = AUDIT_EVENTS.c, REFRESH_TOKENS.c


class RefreshTokens:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def rotate(
        self, secret_hash: bytes, generation: int, idempotency_hash: bytes | None, rules: SessionRules, device: Device
    ) -> SessionState | None:
        """Raise a live session from `generation`, or from up to three before it, by one; None if the guard refused."""
        statement, key = ROTATE, {}
        if idempotency_hash is not None:
            statement, key = ROTATE_WITH_KEY, {"given_idempotency_hash": idempotency_hash}
        rows = await statement.execute(
            self._connection,
            **key,
            presented_hash=secret_hash,
            presented_generation=generation,
            given_user_agent=device.user_agent,
            given_ip=device.ip,
            minus_idle=-rules.idle_lifetime,
            minus_grace=-rules.grace,
        )
        return alive(rows[0], rows[0]["role"]) if rows else None

    async def find_by_secret(self, secret_hash: bytes) -> SessionState | None:
        return await self._find(T.secret_hash == secret_hash)

    async def find_by_id(self, session_id: UUID, user_id: UUID) -> SessionState | None:
        return await self._find(and_(T.id == session_id, T.user_id == user_id))

    async def note_replay(self, session: SessionState, at_most: int) -> None:
        """Record that a spent token came from elsewhere: once for each rotation, and so often in a day at most."""
        await self._connection.execute(select(T.id).where(T.id == session.id).with_for_update())  # so it counts right
        event, a_day_ago = SecurityEvent.REFRESH_REPLAYED, self._now(timedelta(days=-1))
        told = select(func.count()).where(A.user_id == session.user_id, A.at > a_day_ago)
        told = told.where(A.session_id == session.id, A.event == event)
        statement = (
            update(REFRESH_TOKENS)
            .values(told_generation=session.generation)
            .where(T.id == session.id, T.generation == session.generation, T.revoked_at.is_(None))
            .where(T.told_generation.is_distinct_from(session.generation), told.scalar_subquery() < at_most)
            .returning(T.id, T.user_id)
        )
        await self._audit.execute(statement, event, user="user_id", session="id", **session.rotated_by)

    async def revoke(self, secret_hash: bytes, reason: EndReason, **details: int | str) -> UUID | None:
        """End a session and keep the reason; return its id.

        None if it is unknown, or had ended before: the reason of that stays.
        """
        statement = (
            update(REFRESH_TOKENS)
            .values(revoked_at=self._now(), revoked_reason=reason)
            .where(T.secret_hash == secret_hash, T.revoked_at.is_(None))
            .returning(T.id, T.user_id)
        )
        event = SecurityEvent.SESSION_ENDED
        rows = await self._audit.execute(statement, event, user="user_id", session="id", reason=reason, **details)
        return rows[0]["id"] if rows else None

    async def _find(self, which: ColumnElement[bool]) -> SessionState | None:
        row = (await self._connection.execute(self._session().where(which))).mappings().one_or_none()
        return _state(**row) if row else None

    def _session(self) -> Select[Any]:
        current = and_(USERS.c.is_active, USERS.c.credential_epoch == T.credential_epoch)
        described = T.rotated_to == T.generation  # else an older service rotated it, and told nothing
        return select(
            T.id,
            T.user_id,
            USERS.c.role,
            current.label("credential_is_current"),
            T.generation,
            T.rotations,
            T.idempotency_hash,
            T.last_used_at,
            T.expires_at,
            T.revoked_at,
            self._now().label("now"),
            func.coalesce(and_(described, T.idempotency_spent), false()).label("idempotency_spent"),
            case((described, T.rotated_user_agent)).label("rotated_user_agent"),
            case((described, T.rotated_ip)).label("rotated_ip"),
            T.told_generation,
            *AUTHENTICATION,
        ).join(USERS, USERS.c.id == T.user_id)


def _state(*, rotated_user_agent: str | None, rotated_ip: str | None, **columns: Any) -> SessionState:
    authenticated = _authentication(columns)
    del columns["created_at"]
    return SessionState(rotated_from=Device(rotated_user_agent, rotated_ip), **columns | authenticated)


def _authentication(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What the row of a session tells of its sign-in: nothing if an older service opened it, so by a password."""
    return {
        "authenticated_at": row["authenticated_at"] or row["created_at"],
        "acr": row["acr"] or BY_PASSWORD.acr,
        "amr": row["amr"] or BY_PASSWORD.amr,
    }


def alive(row: Mapping[Any, Any], role: str) -> SessionState:
    """A session that a guard has just let through is alive, and was last used now. What judges replays is left out."""
    return SessionState(
        id=row["id"],
        user_id=row["user_id"],
        role=role,
        credential_is_current=True,
        generation=row["generation"],
        rotations=row["rotations"] or (),
        idempotency_hash=None,
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        revoked_at=None,
        now=row["last_used_at"],
        **_authentication(row),
    )
