"""Sessions: one row per signed-in device. Guards sit in the statements, so that the database judges every race."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Interval,
    LargeBinary,
    Select,
    and_,
    bindparam,
    select,
    text,
    update,
)

from auth_service.database.clock import Clock, time_of
from auth_service.database.connection import Connection
from auth_service.database.prepared import Prepared
from auth_service.models import (
    FAST_FORWARD_LIMIT,
    REFRESH_TOKENS,
    ROTATIONS_KEPT,
    USERS,
    EndReason,
    SecurityEvent,
    Session,
)
from auth_service.repositories.audit.events import AuditEvents

T = REFRESH_TOKENS.c

# The one statement of a refresh. A racer waits for the row, finds the generation moved on, and matches nothing.
_ROTATE = """
UPDATE refresh_tokens
SET generation = :generation + 1,
    rotations = {rotations},
    idempotency_hash = :idempotency_hash,
    last_used_at = {now}
WHERE secret_hash = :secret_hash
  AND generation BETWEEN :generation - {fast_forward} AND :generation
  AND revoked_at IS NULL
  AND expires_at > {now}
  AND last_used_at > {idle_since}
  AND EXISTS (SELECT 1 FROM users AS u WHERE u.id = refresh_tokens.user_id AND u.is_active
              AND u.credential_epoch = refresh_tokens.credential_epoch)
RETURNING id, user_id, generation, {told} AS rotations, idempotency_hash, last_used_at, expires_at,
          (SELECT u.role FROM users AS u WHERE u.id = refresh_tokens.user_id) AS role
"""
RETURNED = (T.id, T.user_id, T.generation, T.rotations, T.idempotency_hash, T.last_used_at, T.expires_at)


@Prepared
def _rotate(clock: Clock) -> Any:
    if clock.dialect == "postgresql":
        words = {
            "now": "clock_timestamp()",
            "idle_since": "clock_timestamp() + :minus_idle",
            "told": f"rotations[1:{FAST_FORWARD_LIMIT + 1}]",  # all that is looked at after a rotation
            "rotations": "(array_fill(clock_timestamp(), ARRAY[(:generation - generation + 1)::int]) || rotations)"
            f"[1:{ROTATIONS_KEPT}]",
        }
        times: list[Any] = [bindparam("minus_idle", type_=Interval())]
    else:
        now, idle_since = clock.at(), clock.after("minus_idle")
        words = {
            "now": f":{now.key}",
            "idle_since": f":{idle_since.key}",
            "told": "rotations",
            "rotations": f"prepend_times(rotations, :{now.key}, :generation - generation + 1)",
        }
        times = [now, idle_since]
    given = (bindparam("generation", type_=BigInteger()), bindparam("idempotency_hash", type_=LargeBinary()))
    statement = text(_ROTATE.format(**words, fast_forward=FAST_FORWARD_LIMIT))
    return statement.bindparams(*times, *given).columns(*RETURNED, USERS.c.role)


class RefreshTokens:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._audit = audit

    async def rotate(
        self, secret_hash: bytes, generation: int, idempotency_hash: bytes | None, idle: timedelta
    ) -> Session | None:
        """Raise a live session from `generation`, or from up to three before it, by one; None if the guard refused."""
        rows = await _rotate.run(
            self._connection,
            secret_hash=secret_hash,
            generation=generation,
            idempotency_hash=idempotency_hash,
            minus_idle=-idle,
        )
        return alive(rows[0], rows[0]["role"]) if rows else None

    async def find(self, secret_hash: bytes) -> Session | None:
        row = (await self._connection.execute(self._session().where(T.secret_hash == secret_hash))).one_or_none()
        return Session(**row._mapping) if row else None  # noqa: SLF001  # a row as a mapping

    async def revoke(self, secret_hash: bytes, reason: EndReason, **details: int) -> UUID | None:
        """End a session and keep the reason; return its id.

        None if it is unknown, or had ended before: the reason of that stays.
        """
        statement = (
            update(REFRESH_TOKENS)
            .values(revoked_at=time_of(self._connection), revoked_reason=reason)
            .where(T.secret_hash == secret_hash, T.revoked_at.is_(None))
            .returning(T.id, T.user_id)
        )
        event = SecurityEvent.SESSION_ENDED
        rows = await self._audit.execute(statement, event, user="user_id", session="id", reason=reason, **details)
        return rows[0].id if rows else None

    def _session(self) -> Select[Any]:
        current = and_(USERS.c.is_active, USERS.c.credential_epoch == T.credential_epoch)
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
            time_of(self._connection).label("now"),
        ).join(USERS, USERS.c.id == T.user_id)


def alive(row: Mapping[Any, Any], role: str) -> Session:
    """A session that a guard has just let through is alive, and was last used now."""
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        role=role,
        credential_is_current=True,
        generation=row["generation"],
        rotations=row["rotations"],
        idempotency_hash=row["idempotency_hash"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        revoked_at=None,
        now=row["last_used_at"],
    )
