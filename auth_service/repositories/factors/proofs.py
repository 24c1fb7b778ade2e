"""What proves a second factor at a sign-in: found, and used up by the statement that opens the session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
)

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.expiry import count_expired, delete_expired
from auth_service.database.prepared import Prepared
from auth_service.models import (
    ENROLMENT_LIFE,
    FACTORS,
    RECOVERY_CODES,
    SPENT_CHALLENGES,
    UNUSABLE,
    USERS,
    FactorKind,
    LoginAccount,
    PasskeyRecord,
)
from auth_service.repositories.factors import spending
from auth_service.repositories.factors.spending import IS_TOTP, WHO
from auth_service.repositories.throttles.lookups import Lookup
from auth_service.repositories.users.pending_changes import AWAITS_RESET

F, R, S, U = FACTORS.c, RECOVERY_CODES.c, SPENT_CHALLENGES.c, USERS.c
METHODS = ("passkey", "totp", "recovery_code")

EPOCH = bindparam("session_credential_epoch", type_=U.credential_epoch.type)
_ACCOUNT = [U[column.name] for column in fields(LoginAccount) if column.name in U]


@dataclass(frozen=True)
class SealedTotp:
    """The TOTP of an account, its secret sealed."""

    factor_id: UUID
    secret: bytes = field(repr=False)
    secret_id: str


class Challenged(NamedTuple):
    """Whose challenge it is: the account, its TOTP if it has one, and the database's time."""

    account: LoginAccount
    totp: SealedTotp | None
    now: datetime


@dataclass(frozen=True)
class FoundPasskey:
    """A passkey, and the account that it is of."""

    record: PasskeyRecord
    account: LoginAccount


@dataclass(frozen=True)
class Proof:
    """What a sign-in uses up: a challenge, of which this is the digest and which is good until then, and a code."""

    challenge: bytes = field(repr=False)
    good_until: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of the statements that use it up, beside those of the session."""
        return {"challenge_digest": self.challenge, "challenge_until": self.good_until}


@dataclass(frozen=True)
class TotpProof(Proof):
    """The code of a time step, which must be later than that of every code that was used."""

    factor_id: UUID
    step: int

    @property
    def values(self) -> dict[str, Any]:
        return {**super().values, "totp_factor": self.factor_id, "totp_step": self.step}


@dataclass(frozen=True)
class PasskeyProof(Proof):
    """A signature of a passkey, whose counter must have risen if it cannot have left its device."""

    factor_id: UUID
    sign_count: int
    backed_up: bool
    is_device_bound: bool

    @property
    def values(self) -> dict[str, Any]:
        return {
            **super().values, "passkey": self.factor_id, "passkey_count": self.sign_count,
            "passkey_backed_up": self.backed_up, "passkey_device_bound": self.is_device_bound,
        }  # fmt: skip


@dataclass(frozen=True)
class RecoveryProof(Proof):
    """A recovery code, by its hash."""

    code_hash: bytes = field(repr=False)

    @property
    def values(self) -> dict[str, Any]:
        return {**super().values, "recovery_hash": self.code_hash}


@Prepared
def _find(clock: Clock) -> Any:
    totp = and_(F.user_id == U.id, IS_TOTP)
    columns = (
        *_ACCOUNT,
        AWAITS_RESET.label("awaits_reset"),
        and_(U.credential_epoch == EPOCH, U.hashed_password != UNUSABLE, ~AWAITS_RESET).label("is_current"),
        F.id.label("factor_id"),
        F.secret,
        F.secret_id,
        clock.at().label("now"),
    )
    return select(*columns).select_from(USERS.outerjoin(FACTORS, totp)).where(U.id == WHO)


_RECORD = {f"passkey_{column.name}": F[column.name] for column in fields(PasskeyRecord)}


@Prepared
def _find_passkey(_clock: Clock) -> Any:
    columns = (*_ACCOUNT, AWAITS_RESET.label("awaits_reset"), *(of.label(name) for name, of in _RECORD.items()))
    found = select(*columns).select_from(FACTORS.join(USERS, F.user_id == U.id))
    return found.where(F.credential_id == bindparam("credential", type_=LargeBinary()))


@Prepared
def _methods(clock: Clock) -> Any:
    totp = exists().where(F.user_id == WHO, IS_TOTP)
    passkey = exists().where(F.user_id == WHO, F.kind == FactorKind.PASSKEY)
    recovery_code = exists().where(R.user_id == WHO)
    return select(
        passkey.label("passkey"), totp.label("totp"), recovery_code.label("recovery_code"), clock.at().label("now")
    )


def _read(row: Mapping[Any, Any]) -> Challenged:
    totp = SealedTotp(row["factor_id"], row["secret"], row["secret_id"]) if row["factor_id"] else None
    columns = (*(column.name for column in _ACCOUNT), "awaits_reset")
    return Challenged(LoginAccount(**{name: row[name] for name in columns}), totp, row["now"])


def challenged(user_id: UUID, credential_epoch: int | None = None) -> Lookup[Challenged]:
    """Look up the account that a second step is for; an attempt is reserved if it still has the epoch of the challenge,
    and no reset of its factors is pending.
    """
    return Lookup(_find, {"session_user_id": user_id, "session_credential_epoch": credential_epoch}, _read)


_spend_challenge = Prepared(spending.spend_challenge)
_spend_step = Prepared(lambda clock: spending.spend_step(clock, WHO))
_spend_signature = Prepared(lambda clock: spending.spend_signature(clock, WHO))
_spend_recovery_code = Prepared(lambda clock: spending.spend_recovery_code(clock, WHO))


class FactorProofs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def methods_of(self, user_id: UUID) -> tuple[Sequence[str], datetime]:
        """By what the second step of a sign-in can be made, and the time now."""
        (row,) = await _methods.execute(self._connection, session_user_id=user_id)
        return [method for method in METHODS if row[method]], row["now"]

    async def find(self, user_id: UUID) -> Challenged | None:
        """The account that a second step is for."""
        return await challenged(user_id).find(self._connection)

    async def find_passkey(self, credential_id: bytes) -> FoundPasskey | None:
        """The passkey of this id, whoever it is of."""
        rows = await _find_passkey.execute(self._connection, credential=credential_id)
        if not rows:
            return None
        row = rows[0]
        record = PasskeyRecord(**{name.removeprefix("passkey_"): row[name] for name in _RECORD})
        account = {name: row[name] for name in (*(column.name for column in _ACCOUNT), "awaits_reset")}
        return FoundPasskey(record, LoginAccount(**account, has_factor=True))

    async def spend_challenge(self, challenge: bytes, good_until: datetime) -> bool:
        """Use up a challenge, by its digest, that goes with no code; False if it was before, or is good no more."""
        values = {"challenge_digest": challenge, "challenge_until": good_until}
        return bool(await _spend_challenge.execute(self._connection, **values))

    async def is_spent(self, challenge: bytes) -> bool:
        """Whether a challenge, by its digest, was used up."""
        return (await self._connection.execute(select(S.digest).where(S.digest == challenge))).first() is not None

    async def spend_step(self, user_id: UUID, factor_id: UUID, step: int) -> bool:
        """Use the code of an app up for something else than a sign-in; False if it or a later one was used before."""
        given = {"session_user_id": user_id, "totp_factor": factor_id, "totp_step": step}
        return bool(await _spend_step.execute(self._connection, **given))

    async def spend_signature(self, user_id: UUID, proof: PasskeyProof) -> bool:
        """The same with a signature of a passkey, and not with its challenge; False if its counter did not rise."""
        return bool(await _spend_signature.execute(self._connection, session_user_id=user_id, **proof.values))

    async def spend_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        """The same with a recovery code; False if there is no such one, or none any more."""
        given = {"session_user_id": user_id, "recovery_hash": code_hash}
        return bool(await _spend_recovery_code.execute(self._connection, **given))

    async def delete_spent(self, limit: int) -> int:
        """Delete up to `limit` challenges whose day is over, skipping those that are locked; return how many."""
        return await delete_expired(self._connection, SPENT_CHALLENGES, limit)

    async def count_spent(self) -> int:
        """Return how many a clean-up would find."""
        return await count_expired(self._connection, SPENT_CHALLENGES)

    async def delete_unconfirmed(self, limit: int) -> int:
        """Delete up to `limit` factors that no code has confirmed in time; return how many."""
        found = select(F.id).where(*self._was_never_confirmed()).limit(limit)
        gone = delete(FACTORS).where(F.id.in_(found.with_for_update(skip_locked=True)))
        return int((await self._connection.execute(gone)).rowcount)

    async def count_unconfirmed(self) -> int:
        """Return how many a clean-up would find."""
        counted = select(func.count(F.id)).where(*self._was_never_confirmed())
        return int((await self._connection.execute(counted)).scalar_one())

    def _was_never_confirmed(self) -> tuple[ColumnElement[bool], ...]:
        over = self._connection.dialect.statement_time(-ENROLMENT_LIFE)
        return F.confirmed_at.is_(None), F.created_at <= over
