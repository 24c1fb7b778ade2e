"""The security trail, for events that changed nothing, and for its readers.

What does change something is written by the repositories, in the statement that changes it.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import structlog

from auth_service.errors import DatabaseUnavailable, NoSuchUser
from auth_service.identifiers import canonical_email
from auth_service.models import AuditEvent, SecurityEvent
from auth_service.repositories.audit.trail import AuditFilter
from auth_service.repositories.database import Database

log = structlog.get_logger()

PAGE = 1000  # rows to a statement


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self, event: SecurityEvent, user_id: UUID | None = None, session_id: UUID | None = None, **details: str | int
    ) -> None:
        """Write a refusal down. It never fails: what was decided stays decided, and the log tells what was not written.

        Details are small, and never an address, a password or a token.
        """
        try:
            async with self._database.statement() as tx:
                await tx.audit.add(event, user_id, session_id, **details)
        except DatabaseUnavailable:
            log.warning("audit.not_written", what=event, user_id=str(user_id), **details)
        except Exception:  # whatever it was, the refusal must be answered as one
            log.exception("audit.not_written", what=event, user_id=str(user_id), **details)

    async def read(self, wanted: AuditFilter, limit: int) -> AsyncIterator[AuditEvent]:
        """Yield up to `limit` events, the newest first; no connection is held between two pages of them."""
        before: AuditEvent | None = None
        while limit > 0:
            async with self._database.statement() as tx:
                page = await tx.audit_trail.find_events(wanted, min(limit, PAGE), before)
            for event in page:
                yield event
            if len(page) < min(limit, PAGE):
                return
            limit, before = limit - len(page), page[-1]

    async def user_id_of(self, id_or_email: str) -> UUID:
        """Return the id itself, which may be of a deleted account, or that of the account with this e-mail address.

        Raises:
            NoSuchUser: no account has this address.
        """
        try:
            return UUID(id_or_email)
        except ValueError:
            async with self._database.statement() as tx:
                user = await tx.users.find_by_email(canonical_email(id_or_email))
        if user is None:
            raise NoSuchUser
        return user.id
