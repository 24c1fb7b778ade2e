"""Changes of accounts that wait for their time. Who deletes the row decides: it takes effect, or it is stopped."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, update
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.models import (
    NOTICES_OF,
    OUTGOING_MAILS,
    PENDING_CHANGES,
    USERS,
    ChangeKind,
    DueMail,
    PendingChange,
    SecurityEvent,
    StopReason,
)
from auth_service.repositories.audit.events import AuditEvents

P, M = PENDING_CHANGES.c, OUTGOING_MAILS.c
_PLANNED = {
    ChangeKind.EMAIL: SecurityEvent.EMAIL_CHANGE_PLANNED,
    ChangeKind.FACTORS: SecurityEvent.FACTORS_RESET_PLANNED,
}
_STOPPED = {
    ChangeKind.EMAIL: SecurityEvent.EMAIL_CHANGE_STOPPED,
    ChangeKind.FACTORS: SecurityEvent.FACTORS_RESET_STOPPED,
}
AWAITS_RESET = exists().where(P.user_id == USERS.c.id, P.kind == ChangeKind.FACTORS)
"""Whether a reset of a user's second factors is pending, due or not."""


class PendingChanges:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._audit = audit

    async def plan(self, user_id: UUID, kind: ChangeKind, delay: timedelta, new_email: str | None = None) -> datetime:
        """Let a change of a user take effect after the delay, in place of the one before; return when that will be."""
        values = {
            "user_id": user_id, "kind": kind, "new_email": new_email, "effective_at": self._dialect.now(delay),
            "asked_at": self._dialect.now(), "stop_hash": None,
        }  # fmt: skip
        insert = self._dialect.insert(PENDING_CHANGES).values(**values)
        replaced = {name: insert.excluded[name] for name in values if name not in {"user_id", "kind"}}
        statement = insert.on_conflict_do_update(index_elements=[P.user_id, P.kind], set_=replaced)
        (row,) = await self._audit.execute(
            statement.returning(P.user_id, P.effective_at), _PLANNED[kind], user="user_id"
        )
        effective_at: datetime = row["effective_at"]
        return effective_at

    async def find(self, user_id: UUID, kind: ChangeKind) -> PendingChange | None:
        return await self._connection.session.get(PendingChange, (user_id, kind), populate_existing=True)

    async def find_of_user(self, user_id: UUID) -> Mapping[ChangeKind, PendingChange]:
        """All that a user has before them."""
        found = select(PendingChange).where(col(PendingChange.user_id) == user_id)
        return {ChangeKind(change.kind): change for change in await self._connection.session.exec(found)}

    async def set_link(self, mail: DueMail, kind: ChangeKind, stop_hash: bytes) -> bool:
        """Let the link of a claimed mail stop the change that the mail tells of, and note that the owner is told now.

        False if that change is stopped or replaced, or if another process has claimed the mail by now.
        """
        claimed = select(M.id).where(M.id == mail.id, M.attempts == mail.attempts)
        told_of = datetime.fromisoformat(str(mail.details["effective_at"]))
        statement = (
            update(PENDING_CHANGES)
            .values(stop_hash=stop_hash, asked_at=self._dialect.now())
            .where(P.user_id == mail.user_id, P.kind == kind, P.effective_at == told_of, claimed.exists())
        )
        return (await self._connection.execute(statement.returning(P.user_id))).one_or_none() is not None

    async def stop(self, user_id: UUID, kind: ChangeKind, reason: StopReason) -> bool:
        """Let a change not happen; False if there is none, any more."""
        return await self._stop(kind, reason, P.user_id == user_id) is not None

    async def stop_by_link(self, stop_hash: bytes, kind: ChangeKind) -> UUID | None:
        """The same for the change that a link stops; return whose it was."""
        return await self._stop(kind, StopReason.LINK, P.stop_hash == stop_hash)

    async def find_due(self, kind: ChangeKind, notice: timedelta, limit: int) -> Sequence[UUID]:
        """Up to so many users whose change may take effect now, the longest due first; see `take`."""
        found = select(PendingChange.user_id).where(col(PendingChange.kind) == kind, *self._is_due(kind, notice))
        longest_first = found.order_by(col(PendingChange.effective_at)).limit(limit)
        return (await self._connection.session.exec(longest_first)).all()

    async def find_all(self) -> Sequence[UUID]:
        """Every user who has a change before them."""
        return (await self._connection.session.exec(select(PendingChange.user_id).distinct())).all()

    async def take(self, user_id: UUID, kind: ChangeKind, notice: timedelta) -> PendingChange | None:
        """Take a change in order to make it, once and for all.

        None unless its time has come and the mail to the owner left at least as long ago as `notice`: a mail server
        that was down must not take the owner's time away. It may also have been refused for good.
        """
        statement = delete(PENDING_CHANGES).where(P.user_id == user_id, P.kind == kind, *self._is_due(kind, notice))
        row = (await self._connection.execute(statement.returning(*P))).mappings().one_or_none()
        return PendingChange(**row) if row else None

    async def _stop(self, kind: ChangeKind, reason: StopReason, which: ColumnElement[bool]) -> UUID | None:
        statement = delete(PENDING_CHANGES).where(P.kind == kind, which).returning(P.user_id)
        rows = await self._audit.execute(statement, _STOPPED[kind], user="user_id", reason=reason)
        return rows[0]["user_id"] if rows else None

    def _is_due(self, kind: ChangeKind, notice: timedelta) -> tuple[ColumnElement[bool], ...]:
        """By the time when the statement began: a change that is stopped or replaced meanwhile is another row."""
        waiting = select(M.id).where(M.user_id == P.user_id, M.kind == NOTICES_OF[kind])
        now, told_by = self._dialect.statement_time(), self._dialect.statement_time(-notice)
        return P.effective_at <= now, P.asked_at <= told_by, ~waiting.exists()
