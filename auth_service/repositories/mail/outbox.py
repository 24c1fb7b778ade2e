"""Mail that is to be sent: written in the transaction of what it tells of, claimed by one process, then deleted."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, update
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from auth_service.database.connection import Connection
from auth_service.models import OUTGOING_MAILS, DueMail, MailKind, OutgoingMail

M = OUTGOING_MAILS.c


class Outbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._dialect = connection.dialect
        self.was_written = False

    async def add(
        self, kind: MailKind, user_id: UUID | None = None, recipient: str | None = None, **details: str | int
    ) -> None:
        """Have a mail sent, if the transaction is committed; see `OutgoingMail` for who gets it."""
        await self._connection.execute(insert(OUTGOING_MAILS).values(**self._row(kind, user_id, recipient, details)))
        self.was_written = True

    def _row(
        self, kind: MailKind, user_id: UUID | None, recipient: str | None, details: Mapping[str, str | int]
    ) -> dict[str, Any]:
        now = self._now()
        return {
            "id": uuid7(), "kind": kind, "user_id": user_id, "recipient": recipient, "details": dict(details),
            "attempts": 0, "created_at": now, "due_at": now,
        }  # fmt: skip

    async def claim(self, limit: int, claimed_for: timedelta) -> Sequence[DueMail]:
        """Take up to `limit` mails that are due, longest wait first: no other process gets them for so long.

        One statement. What another process is claiming is skipped.
        """
        now = self._now()
        found = (
            select(M.id)
            .where(M.due_at <= self._dialect.statement_time())
            .order_by(M.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(OUTGOING_MAILS)
            .values(due_at=self._now(claimed_for), attempts=M.attempts + 1)
            .where(self._dialect.is_among(M.id, found))
            .returning(M.id, M.kind, M.user_id, M.recipient, M.details, M.created_at, M.attempts, now.label("now"))
        )
        return [DueMail(**row) for row in (await self._connection.execute(statement)).mappings()]

    async def postpone(self, mail: DueMail, pause: timedelta) -> None:
        """Let a claimed mail be due again after the pause, unless its claim is over and another process has it."""
        statement = update(OUTGOING_MAILS).values(due_at=self._now(pause))
        await self._connection.execute(statement.where(M.id == mail.id, M.attempts == mail.attempts))

    async def remove(self, mail: DueMail) -> None:
        """Delete a claimed mail: it was sent, or never will be."""
        await self._connection.execute(delete(OUTGOING_MAILS).where(M.id == mail.id, M.attempts == mail.attempts))

    async def withdraw(self, user_id: UUID, *kinds: MailKind) -> None:
        """Take back the mails of these kinds about an account that were not sent yet."""
        await self._connection.execute(delete(OUTGOING_MAILS).where(M.user_id == user_id, M.kind.in_(kinds)))

    async def survey(self) -> tuple[int, timedelta]:
        """How many mails wait, and how old the oldest is (0 if none)."""
        statement = select(func.count(), func.min(col(OutgoingMail.created_at)), self._now())
        count, oldest, now = (await self._connection.session.exec(statement)).one()
        return count, now - oldest if oldest else timedelta(0)
