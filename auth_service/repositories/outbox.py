"""Mail that is to be sent: written in the transaction of what it tells of."""

from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.models import OUTGOING_MAILS, MailKind
from auth_service.repositories.clock import time_of


class Outbox:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, kind: MailKind, user_id: UUID | None = None, recipient: str | None = None, **details: str | int
    ) -> None:
        """Have a mail sent, if the transaction is committed; see `OutgoingMail` for who gets it."""
        now = time_of(self._connection)
        values = {"kind": kind, "user_id": user_id, "recipient": recipient, "details": details}
        await self._connection.execute(insert(OUTGOING_MAILS).values(**values, attempts=0, created_at=now, due_at=now))
