"""The factors and recovery codes of an account: added, confirmed, listed, removed.

Each transaction that writes here locks the user's row first, so that two of them see each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, update
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from auth_service.database.connection import Connection
from auth_service.models import (
    ENROLMENT_LIFE,
    FACTORS,
    RECOVERY_CODES,
    Factor,
    FactorKind,
    FactorView,
    RecoveryCode,
    ResetReason,
    SecurityEvent,
)
from auth_service.repositories.audit.events import AuditEvents

F, R = FACTORS.c, RECOVERY_CODES.c


def _view(factor: Factor) -> FactorView:
    return FactorView(**{column.name: getattr(factor, column.name) for column in fields(FactorView)})


class Enrolments:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def add_unconfirmed(self, user_id: UUID, factor_id: UUID, secret: bytes, secret_id: str) -> None:
        """Add a TOTP, its secret sealed, that does not count yet, in place of the one before that does not either."""
        before = delete(FACTORS).where(F.user_id == user_id, F.kind == FactorKind.TOTP, F.confirmed_at.is_(None))
        await self._connection.execute(before)
        await self._connection.execute(insert(FACTORS).values(self._totp(user_id, factor_id, secret, secret_id)))

    async def add_confirmed(self, user_id: UUID, factor_id: UUID, secret: bytes, secret_id: str, step: int) -> None:
        """Add a TOTP that counts at once, as the first one of its user, in place of one that waits for a code. `step`
        is that of the code that was given.
        """
        await self._connection.execute(delete(FACTORS).where(F.user_id == user_id))
        used = {"confirmed_at": self._now(), "last_used_at": self._now(), "last_step": step}
        added = insert(FACTORS).values(self._totp(user_id, factor_id, secret, secret_id) | used)
        event, returned = SecurityEvent.FACTOR_ADDED, added.returning(F.id, F.user_id)
        await self._audit.execute(returned, event, user="user_id", kind=FactorKind.TOTP)

    async def find_unconfirmed(self, user_id: UUID, factor_id: UUID) -> tuple[Factor, datetime] | None:
        """The TOTP that waits for its first code, and the time now; None if there is no such one, or none any more."""
        statement = select(Factor, self._now()).where(
            col(Factor.id) == factor_id, col(Factor.user_id) == user_id, col(Factor.confirmed_at).is_(None)
        )
        begun = statement.where(col(Factor.created_at) > self._now(-ENROLMENT_LIFE))
        row = (await self._connection.session.exec(begun)).one_or_none()
        return (row[0], row[1]) if row else None

    async def confirm(self, user_id: UUID, factor_id: UUID, step: int, event: SecurityEvent) -> None:
        """Let a TOTP count that is there and waits; its user has no other one any more. `step` is its first code's."""
        confirmed = (
            update(FACTORS)
            .values(confirmed_at=self._now(), last_used_at=self._now(), last_step=step)
            .where(F.id == factor_id, F.user_id == user_id, F.confirmed_at.is_(None))
            .returning(F.id, F.user_id)
        )
        replaced = delete(FACTORS).where(F.user_id == user_id, F.kind == FactorKind.TOTP, F.id != factor_id)
        if self._connection.dialect.writes_in_ctes:
            confirmed = confirmed.add_cte(replaced.cte("replaced"))
        else:
            await self._connection.execute(replaced)
        await self._audit.execute(confirmed, event, user="user_id", kind=FactorKind.TOTP)

    async def list_of_user(self, user_id: UUID) -> Sequence[FactorView]:
        """The factors that count, the oldest first."""
        statement = (
            select(Factor)
            .where(col(Factor.user_id) == user_id, col(Factor.confirmed_at).is_not(None))
            .order_by(col(Factor.created_at), col(Factor.id))
        )
        return [_view(factor) for factor in await self._connection.session.exec(statement)]

    async def add_passkey(self, user_id: UUID, columns: Mapping[str, Any]) -> FactorView | None:
        """Add a passkey, which counts at once, with these columns; None if one of its id is there, whoever it is of."""
        kept = {"id": uuid7(), "user_id": user_id, "kind": FactorKind.PASSKEY, "last_step": 0, **columns}
        times = {"created_at": self._now(), "confirmed_at": self._now()}
        added = self._connection.dialect.insert(FACTORS).values(**kept, **times)
        unless_there = added.on_conflict_do_nothing(index_elements=[F.credential_id]).returning(FACTORS)
        event = SecurityEvent.FACTOR_ADDED
        rows = await self._audit.execute(unless_there, event, user="user_id", kind=FactorKind.PASSKEY)
        return _view(Factor(**rows[0])) if rows else None

    async def rename(self, user_id: UUID, factor_id: UUID, name: str) -> FactorView | None:
        """Give a passkey another name; None if the user has no such one."""
        renamed = update(FACTORS).values(name=name).where(F.id == factor_id, F.user_id == user_id)
        of_passkey = renamed.where(F.kind == FactorKind.PASSKEY).returning(FACTORS)
        event = SecurityEvent.FACTOR_RENAMED
        rows = await self._audit.execute(of_passkey, event, user="user_id", kind=FactorKind.PASSKEY)
        return _view(Factor(**rows[0])) if rows else None

    async def remove(self, user_id: UUID, factor_id: UUID, kind: str) -> None:
        """Remove a factor that counts."""
        removed = delete(FACTORS).where(F.id == factor_id, F.user_id == user_id).returning(F.id, F.user_id)
        await self._audit.execute(removed, SecurityEvent.FACTOR_REMOVED, user="user_id", kind=kind)

    async def find_sealed_otherwise(self, secret_id: str, behind: UUID | None, limit: int) -> Sequence[Factor]:
        """Up to so many factors whose secret is not sealed under this key, in the order of their ids, `behind` one."""
        others = select(Factor).where(col(Factor.secret_id) != secret_id)
        if behind is not None:
            others = others.where(col(Factor.id) > behind)
        return (await self._connection.session.exec(others.order_by(col(Factor.id)).limit(limit))).all()

    async def count_by_secret(self) -> Mapping[str, int]:
        """How many factors that count are sealed under each secret key, by its id."""
        counted = select(col(Factor.secret_id), func.count()).where(col(Factor.confirmed_at).is_not(None))
        found = await self._connection.session.exec(counted.group_by(col(Factor.secret_id)))
        return {secret_id: count for secret_id, count in found if secret_id is not None}

    async def count_passkeys(self) -> tuple[int, datetime | None]:
        """How many passkeys there are, and when one was last used."""
        counted = select(func.count(), func.max(col(Factor.last_used_at))).where(col(Factor.kind) == FactorKind.PASSKEY)
        return (await self._connection.session.exec(counted)).one()

    async def reseal(self, factor: Factor, secret: bytes, secret_id: str) -> bool:
        """Store the secret of a factor as it is sealed now; False if another process has done so, or it is gone."""
        statement = update(FACTORS).values(secret=secret, secret_id=secret_id)
        unchanged = statement.where(F.id == factor.id, F.secret_id == factor.secret_id)
        return bool((await self._connection.execute(unchanged)).rowcount)

    async def remove_all(self, user_id: UUID, reason: ResetReason) -> bool:
        """Remove every factor of a user, and the recovery codes; whether one of them counted."""
        await self.set_recovery_codes(user_id, ())
        gone = delete(FACTORS).where(F.user_id == user_id).returning(F.confirmed_at)
        counted = any((await self._connection.execute(gone)).scalars())
        if counted:
            await self._audit.add(SecurityEvent.FACTORS_RESET, user_id, reason=reason)
        return counted

    async def count_recovery_codes(self, user_id: UUID) -> int:
        counted = select(func.count()).select_from(RecoveryCode).where(col(RecoveryCode.user_id) == user_id)
        return (await self._connection.session.exec(counted)).one()

    async def set_recovery_codes(self, user_id: UUID, hashes: Sequence[bytes]) -> None:
        """Let these be the user's recovery codes, in place of all from before; none if there are no hashes."""
        await self._connection.execute(delete(RECOVERY_CODES).where(R.user_id == user_id))
        if hashes:
            rows = [{"user_id": user_id, "code_hash": code_hash} for code_hash in hashes]
            await self._connection.execute(insert(RECOVERY_CODES).values(rows))

    def _totp(self, user_id: UUID, factor_id: UUID, secret: bytes, secret_id: str) -> dict[str, Any]:
        return {
            "id": factor_id, "user_id": user_id, "kind": FactorKind.TOTP, "secret": secret, "secret_id": secret_id,
            "last_step": 0, "created_at": self._now(),
        }  # fmt: skip
