"""Registrations, until it is known whether anybody used the account."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, select

from auth_service.database.connection import Connection
from auth_service.models import REFRESH_TOKENS, REGISTRATIONS, USERS, Role, SecurityEvent
from auth_service.repositories.audit.events import AuditEvents

G, U = REGISTRATIONS.c, USERS.c
FLOOR = timedelta(days=1)  # of their life, whoever asks; the function on PostgreSQL has the same


class Expired(NamedTuple):
    """How many registrations were looked at, all of which are settled now, and how many accounts that deleted."""

    seen: int
    expired: int


class Registrations:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._audit = audit

    async def add(self, user_id: UUID) -> None:
        """Note that somebody made this account for themselves. Without such an account, the same time is spent."""
        found = select(U.id, U.created_at).where(U.id == user_id)
        await self._connection.execute(insert(REGISTRATIONS).from_select(["user_id", "registered_at"], found))

    async def forget(self, user_id: UUID) -> None:
        """Let an account stay for good."""
        await self._connection.execute(delete(REGISTRATIONS).where(G.user_id == user_id))

    async def expire(self, lifetime: timedelta, limit: int) -> Expired:
        """Delete the accounts, of up to `limit` registrations that are this old, that were never verified nor used.

        Those that are locked are skipped. A disabled account stays, and so does one with another role: somebody has
        decided about it. On PostgreSQL by a function that has the owner's rights, so that no role that cleans up needs
        them.
        """
        if self._dialect.has_partitions:
            done = func.expire_registrations(lifetime, limit).table_valued("seen", "expired")
            return Expired(*(await self._connection.execute(select(done.c.seen, done.c.expired))).one())
        due = (await self._connection.execute(self._find_old(lifetime).limit(limit))).scalars().all()
        gone = delete(USERS).where(U.id.in_(due), *_is_unused()).returning(U.id)
        rows = await self._audit.execute(gone, SecurityEvent.ACCOUNT_EXPIRED, user="id")
        await self._connection.execute(delete(REGISTRATIONS).where(G.user_id.in_(due)))
        return Expired(len(due), len(rows))

    async def count_expired(self, lifetime: timedelta) -> int | None:
        """Return how many accounts that would delete; None for a role that may not read accounts."""
        if self._dialect.has_partitions:  # and roles
            may_read = func.has_table_privilege("registrations", "SELECT")
            if not (await self._connection.execute(select(may_read))).scalar_one():
                return None
        counted = select(func.count(U.id)).where(U.id.in_(self._find_old(lifetime)), *_is_unused())
        return int((await self._connection.execute(counted)).scalar_one())

    def _find_old(self, lifetime: timedelta) -> Select[tuple[UUID]]:
        return select(G.user_id).where(G.registered_at <= self._dialect.statement_time(-max(lifetime, FLOOR)))


def _is_unused() -> tuple[ColumnElement[bool], ...]:
    signed_in = select(REFRESH_TOKENS.c.id).where(REFRESH_TOKENS.c.user_id == U.id).exists()
    return U.is_verified.is_(False), U.last_login_at.is_(None), ~signed_in, U.is_active, U.role == Role.USER
