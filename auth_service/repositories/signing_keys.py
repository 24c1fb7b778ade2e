"""The signing keys as they are stored: public halves in the open, private halves encrypted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, update
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.models import SIGNING_KEYS, KeyState, SecurityEvent, SigningKey
from auth_service.repositories.audit.events import AuditEvents

KEYS_LOCK = 4_711_003  # beside the locks of the migrators and of the clean-up


class SigningKeys:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def list_all(self) -> Sequence[SigningKey]:
        """Every key that will sign, signs or still verifies, oldest first."""
        stored, _ = await self.list_with_time()
        return stored

    async def list_with_time(self) -> tuple[Sequence[SigningKey], datetime | None]:
        """The same, and the database's time, which costs no statement of its own; None if there is no key."""
        read = select(SigningKey, self._now()).order_by(col(SigningKey.created_at))
        rows = (await self._connection.session.exec(read)).all()
        return [key for key, _ in rows], max((now for _, now in rows), default=None)

    async def lock(self) -> datetime:
        """Wait to be the only one who changes keys, until this transaction ends; return the database's time."""
        await self._connection.dialect.lock(self._connection.session, KEYS_LOCK)
        now: datetime = (await self._connection.session.exec(select(self._now()))).one()
        return now

    async def add_first(self, values: dict[str, Any]) -> None:
        """Store a key as the active one, unless there is one: the unique index lets one of several starters win."""
        now = self._now()
        into = self._connection.dialect.insert(SIGNING_KEYS)
        statement = into.values(**values, state=KeyState.ACTIVE, created_at=now, activated_at=now)
        first = statement.on_conflict_do_nothing().returning(SIGNING_KEYS.c.kid)
        await self._audit.execute(first, SecurityEvent.KEY_ACTIVATED, kid=values["kid"])

    async def add_pending(self, values: dict[str, Any]) -> None:
        now = self._now()
        statement = insert(SIGNING_KEYS).values(**values, state=KeyState.PENDING, created_at=now)
        await self._audit.execute(
            statement.returning(SIGNING_KEYS.c.kid), SecurityEvent.KEY_PUBLISHED, kid=values["kid"]
        )

    async def retire(self, kid: str) -> None:
        await self._set(kid, SecurityEvent.KEY_RETIRED, state=KeyState.RETIRED, retired_at=self._now())

    async def activate(self, kid: str) -> None:
        await self._set(kid, SecurityEvent.KEY_ACTIVATED, state=KeyState.ACTIVE, activated_at=self._now())

    async def remove(self, kid: str, event: SecurityEvent) -> str | None:
        """Delete a key and return the state it was in, None if there is none; the event says whether it had had its
        time or was revoked.
        """
        statement = delete(SIGNING_KEYS).where(SIGNING_KEYS.c.kid == kid)
        rows = await self._audit.execute(statement.returning(SIGNING_KEYS.c.state), event, kid=kid)
        return str(rows[0]["state"]) if rows else None

    async def reseal(self, kid: str, private_key: bytes, secret_id: str) -> None:
        await self._set(kid, SecurityEvent.KEY_REWRAPPED, private_key=private_key, secret_id=secret_id)

    async def _set(self, kid: str, event: SecurityEvent, **values: Any) -> None:
        statement = update(SIGNING_KEYS).values(**values).where(SIGNING_KEYS.c.kid == kid)
        await self._audit.execute(statement.returning(SIGNING_KEYS.c.kid), event, kid=kid)
