"""The security trail: a row in the statement that makes a change, and a line in the log once that is committed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy import CTE, ColumnElement, bindparam, insert, literal, literal_column, select
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate
from uuid_utils.compat import uuid7

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared, Rows
from auth_service.models import AUDIT_EVENTS, REQUESTER, EndReason, SecurityEvent

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


TRAIL_ID = bindparam("trail_id", type_=A.id.type)  # of the one event that a statement of the hot path leaves
_REQUESTER = ("ip", "user_agent", "request_id", "details")


class AuditEvents:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._dialect = connection.dialect
        self._untold: list[tuple[SecurityEvent, dict[str, Any]]] = []

    async def add(
        self, event: SecurityEvent, user_id: UUID | None = None, session_id: UUID | None = None, **details: str | int
    ) -> None:
        """Write an event that comes with no change of its own, or with one in this transaction."""
        await self._connection.execute(insert(AUDIT_EVENTS).values(self._row(event, user_id, session_id, details)))
        self._remember(event, user_id, session_id, details)

    async def execute(
        self,
        change: Change,
        event: SecurityEvent,
        *,
        user: str | None = None,
        session: str | None = None,
        **details: str | int,
    ) -> Rows:
        """Run a change and write the event for each row that it returns: both happen, or neither.

        `user` and `session` name the returned columns that hold their ids. On PostgreSQL all of it is one statement.
        """
        statement, values = change, {}
        if self._dialect.writes_in_ctes:
            changed = change.cte("changed")
            statement, values = with_trail(self._dialect.clock(), changed, event, user, session), _trail(details)
        rows = (await self._connection.execute(statement, values)).mappings().all()
        await self._record(rows, event, user, session, details)
        return rows

    async def execute_prepared(self, change: "AuditedChange", values: dict[str, Any], **details: str | int) -> Rows:
        """The same with a statement of the hot path."""
        at_once = self._dialect.writes_in_ctes
        statement = change.with_trail if at_once else change.alone
        trail = {"trail_id": uuid7(), **_trail(details)} if at_once else {}
        rows = await statement.execute(self._connection, **values, **trail)
        await self._record(rows, change.event, change.user, change.session, details)
        return rows

    async def _record(
        self, rows: Rows, event: SecurityEvent, user: str | None, session: str | None, details: dict[str, Any]
    ) -> None:
        """Remember what to tell; and write it, if it was not written with the change."""
        who = [(row[user] if user else None, row[session] if session else None) for row in rows]
        if who and not self._dialect.writes_in_ctes:
            trail = [self._row(event, *ids, details) for ids in who]
            await self._connection.execute(insert(AUDIT_EVENTS).values(trail))
        for ids in who:
            self._remember(event, *ids, details)

    def tell(self) -> None:
        """Write the log's lines. Called when the rows are committed, so that they tell nothing that was rolled back."""
        for event, fields in self._untold:
            is_grave = event in _TOLD_AS_WARNING or fields.get("reason") == EndReason.REUSE
            (log.warning if is_grave else log.info)(event, **fields)
        self._untold.clear()

    def _row(
        self, event: SecurityEvent, user_id: UUID | None, session_id: UUID | None, details: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "at": self._now(), "id": uuid7(), "event": event, "user_id": user_id,
            "session_id": session_id, **_requester(details),
        }  # fmt: skip

    def _remember(
        self, event: SecurityEvent, user_id: UUID | None, session_id: UUID | None, details: dict[str, Any]
    ) -> None:
        requester = REQUESTER.get()
        known = {"user_id": user_id, "sid": session_id, "ip": requester.ip, "actor": requester.actor}
        fields = {name: str(value) for name, value in known.items() if value is not None}
        self._untold.append((event, fields | details))


class AuditedChange:
    """A change of the hot path and the event that it leaves for the row that it returns; see `AuditEvents.execute`.

    A change that may return more than one row `has_several`: the database makes the ids of their events.
    Where one statement can make several changes it is `whole`, which may make more of them than change and event.
    """

    def __init__(
        self,
        build: Callable[[Clock], Any],
        event: SecurityEvent,
        *,
        user: str | None,
        session: str | None,
        has_several: bool = False,
        whole: Callable[[Clock], Any] | None = None,
    ) -> None:
        self.event, self.user, self.session = event, user, session
        self.alone = Prepared(build)
        id_ = _UUID7 if has_several else TRAIL_ID
        self.with_trail = Prepared(
            whole or (lambda clock: with_trail(clock, build(clock).cte("changed"), event, user, session, id_=id_))
        )


def _requester(details: Mapping[str, Any]) -> dict[str, Any]:
    requester = REQUESTER.get()
    actor = {"actor": requester.actor} if requester.actor else {}
    return {
        "ip": requester.ip, "user_agent": requester.user_agent, "request_id": requester.request_id,
        "details": {**details, **actor},
    }  # fmt: skip


def _trail(details: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `with_trail()`."""
    return {f"trail_{name}": value for name, value in _requester(details).items()}


def with_trail(
    clock: Clock,
    changed: CTE,
    event: SecurityEvent,
    user: str | None,
    session: str | None,
    *,
    id_: ColumnElement[Any] = _UUID7,
) -> Any:
    """Select what was changed; the event is written for each row of it by the same statement."""
    values: dict[str, Any] = {"id": id_, "at": clock.at(), "event": literal(event, A.event.type)}
    values |= {"user_id": changed.c[user]} if user else {}
    values |= {"session_id": changed.c[session]} if session else {}
    values |= {name: bindparam(f"trail_{name}", type_=A[name].type) for name in _REQUESTER}
    recorded = insert(AUDIT_EVENTS).from_select(list(values), select(*values.values()).select_from(changed))
    return select(changed).add_cte(recorded.cte("recorded"))
