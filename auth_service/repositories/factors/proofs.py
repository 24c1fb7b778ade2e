"""What proves a second factor at a sign-in: found, and used up by the statement that opens the session.

On PostgreSQL that is one statement, on SQLite one transaction. The account is locked first, as everywhere; then the
code is used up; then the challenge. Each of these only happens if the one before it did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    LargeBinary,
    Uuid,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.expiry import delete_expired
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
    UtcDateTime,
)
from auth_service.repositories.throttles.throttles import Lookup
from auth_service.repositories.users.pending_changes import AWAITS_RESET

F, R, S, U = FACTORS.c, RECOVERY_CODES.c, SPENT_CHALLENGES.c, USERS.c
METHODS = ("passkey", "totp", "recovery_code")
SPENT_KEPT = timedelta(days=1)  # a challenge is good for five minutes: no step of a clock makes it good again

# Not `user_id`, which is a column: SQLAlchemy would set it in each UPDATE of a table that has it.
WHO = bindparam("session_user_id", type_=Uuid())
EPOCH = bindparam("session_credential_epoch", type_=U.credential_epoch.type)
_DIGEST = bindparam("challenge_digest", type_=LargeBinary())
_IS_TOTP = and_(F.kind == FactorKind.TOTP, F.confirmed_at.is_not(None))
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


Spending: TypeAlias = Callable[[Clock, ColumnElement[Any]], Any]
"""Builds what uses a code of the user of this id up."""


def spend_step(clock: Clock, user_id: ColumnElement[Any]) -> Any:
    step, factor = bindparam("totp_step", type_=BigInteger()), bindparam("totp_factor", type_=Uuid())
    spent = update(FACTORS).values(last_step=step, last_used_at=clock.at()).returning(F.user_id)
    return spent.where(F.id == factor, F.user_id == user_id, _IS_TOTP, F.last_step < step)


def spend_recovery_code(_clock: Clock, user_id: ColumnElement[Any]) -> Any:
    given = bindparam("recovery_hash", type_=LargeBinary())
    return delete(RECOVERY_CODES).where(R.user_id == user_id, R.code_hash == given).returning(R.user_id)


def spend_signature(clock: Clock, user_id: ColumnElement[Any]) -> Any:
    """Counters of passkeys that are synced say nothing; of the others they rise, or are always 0."""
    counted, factor = bindparam("passkey_count", type_=BigInteger()), bindparam("passkey", type_=Uuid())
    backed_up = bindparam("passkey_backed_up", type_=Boolean())
    spent = update(FACTORS).values(sign_count=counted, backed_up=backed_up, last_used_at=clock.at())
    has_risen = or_(F.sign_count < counted, and_(F.sign_count == 0, counted == 0))
    may_be_copied = bindparam("passkey_device_bound", type_=Boolean()).is_(False)
    unused = spent.where(F.id == factor, F.user_id == user_id, F.kind == FactorKind.PASSKEY)
    return unused.where(or_(may_be_copied, has_risen)).returning(F.user_id)


def spend_challenge(clock: Clock, of: CTE | None = None) -> Any:
    """Use the challenge up, if there is a row `of` what comes before it; returns nothing if it was used before."""
    values: dict[str, Any] = {"digest": _DIGEST, "expires_at": clock.at(SPENT_KEPT)}
    chosen = select(*values.values()).where(_is_good(clock))
    chosen = chosen.select_from(of) if of is not None else chosen
    added = clock.dialect.insert(SPENT_CHALLENGES).from_select(list(values), chosen)
    return added.on_conflict_do_nothing().returning(S.digest)


def _is_good(clock: Clock) -> ColumnElement[bool]:
    return clock.at() <= bindparam("challenge_until", type_=UtcDateTime())


def is_fresh(clock: Clock) -> ColumnElement[bool]:
    """The condition that a challenge was not used up, as far as the statement sees."""
    return and_(_is_good(clock), ~exists().where(S.digest == _DIGEST))


def used_up(clock: Clock, spend: Spending, account: CTE) -> ColumnElement[bool]:
    """The condition that all of a proof of this account was used up, by the statement that it is a condition of."""
    code = spend(clock, account.c.id).cte("code")
    return exists(select(spend_challenge(clock, code).cte("challenge").c.digest))


class SpentOneByOne(NamedTuple):
    """The same for SQLite."""

    code: Prepared
    challenge: Prepared

    async def execute(self, connection: Connection, values: dict[str, Any]) -> bool:
        """Use a proof up; False if it was before, and then the transaction must not be committed."""
        is_good = await self.code.execute(connection, **values)
        return bool(is_good and await self.challenge.execute(connection, **values))


def one_by_one(spend: Spending) -> SpentOneByOne:
    return SpentOneByOne(Prepared(lambda clock: spend(clock, WHO)), Prepared(spend_challenge))


@Prepared
def _find(clock: Clock) -> Any:
    totp = and_(F.user_id == U.id, _IS_TOTP)
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
    totp = exists().where(F.user_id == WHO, _IS_TOTP)
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


_spend_challenge = Prepared(spend_challenge)
_spend_step = Prepared(lambda clock: spend_step(clock, WHO))
_spend_signature = Prepared(lambda clock: spend_signature(clock, WHO))
_spend_recovery_code = Prepared(lambda clock: spend_recovery_code(clock, WHO))


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

    async def delete_unconfirmed(self, limit: int) -> int:
        """The same for factors that no code has confirmed in time."""
        over = self._connection.dialect.statement_time(-ENROLMENT_LIFE)
        found = select(F.id).where(F.confirmed_at.is_(None), F.created_at <= over).limit(limit)
        gone = delete(FACTORS).where(F.id.in_(found.with_for_update(skip_locked=True)))
        return int((await self._connection.execute(gone)).rowcount)
