"""The security trail: a row in the statement that makes a change, and a line in the log once that is committed."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy import Row, insert, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate
from uuid_utils.compat import uuid7

from auth_service.models import AUDIT_EVENTS, ORIGIN, EndReason, SecurityEvent
from auth_service.repositories.clock import time_of

log = structlog.get_logger()

A = AUDIT_EVENTS.c
Change: TypeAlias = ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any]
_TOLD_AS_WARNING = {SecurityEvent.KEY_REVOKED, SecurityEvent.THROTTLE_BLOCKED}

# A UUID of version 7, as uuid7() makes it: a statement that changes many rows cannot be told how many ids it will need.
_UUID7 = literal_column(
    "encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing substring(int8send("
    "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid",
    A.id.type,
)


class AuditEvents:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._untold: list[tuple[SecurityEvent, dict[str, Any]]] = []

    async def add(self, event: SecurityEvent, user_id: UUID | None = None, **details: str | int) -> None:
        """Write an event that comes with no change of its own, or with one in this transaction."""
        await self._connection.execute(insert(AUDIT_EVENTS).values(self._row(event, user_id, None, details)))
        self._remember(event, user_id, None, details)

    async def execute(
        self,
        change: Change,
        event: SecurityEvent,
        *,
        user: str | None = None,
        session: str | None = None,
        **details: str | int,
    ) -> Sequence[Row[Any]]:
        """Run a change and write the event for each row that it returns: both happen, or neither.

        `user` and `session` name the returned columns that hold their ids. On PostgreSQL all of it is one statement.
        """
        if self._dialect == "postgresql":
            rows = (await self._connection.execute(self._with_trail(change, event, user, session, details))).all()
        else:
            rows = (await self._connection.execute(change)).all()
        who = [(row._mapping[user] if user else None, row._mapping[session] if session else None) for row in rows]  # noqa: SLF001
        if who and self._dialect != "postgresql":
            trail = [self._row(event, *ids, details) for ids in who]
            await self._connection.execute(insert(AUDIT_EVENTS).values(trail))
        for ids in who:
            self._remember(event, *ids, details)
        return rows

    def tell(self) -> None:
        """Write the log's lines. Called when the rows are committed, so that nobody reads of what was rolled back."""
        for event, fields in self._untold:
            is_grave = event in _TOLD_AS_WARNING or fields.get("reason") == EndReason.REUSE
            (log.warning if is_grave else log.info)(event, **fields)
        self._untold.clear()

    def _with_trail(
        self, change: Change, event: SecurityEvent, user: str | None, session: str | None, details: dict[str, Any]
    ) -> Any:
        changed = change.cte("changed")
        fixed = self._row(event, None, None, details) | {"id": None, "at": None}
        values: dict[str, Any] = {name: literal(value, A[name].type) for name, value in fixed.items()}
        values |= {"id": _UUID7, "at": time_of(self._connection)}
        values |= {"user_id": changed.c[user]} if user else {}
        values |= {"session_id": changed.c[session]} if session else {}
        noted = insert(AUDIT_EVENTS).from_select(list(values), select(*values.values()).select_from(changed))
        return select(changed).add_cte(noted.cte("noted"))

    def _row(
        self, event: SecurityEvent, user_id: UUID | None, session_id: UUID | None, details: dict[str, Any]
    ) -> dict[str, Any]:
        origin = ORIGIN.get()
        return {
            "at": time_of(self._connection), "id": uuid7(), "event": event, "user_id": user_id,
            "session_id": session_id, "ip": origin.ip, "user_agent": origin.user_agent,
            "request_id": origin.request_id,
            "details": details | ({"actor": origin.actor} if origin.actor else {}),
        }  # fmt: skip

    def _remember(
        self, event: SecurityEvent, user_id: UUID | None, session_id: UUID | None, details: dict[str, Any]
    ) -> None:
        origin = ORIGIN.get()
        known = {"user_id": user_id, "sid": session_id, "ip": origin.ip, "actor": origin.actor}
        fields = {name: str(value) for name, value in known.items() if value is not None}
        self._untold.append((event, fields | details))
