"""Whom a second step is for, found by the account or by a passkey, with what it needs to know of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import LargeBinary, and_, bindparam, exists, select

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared
from auth_service.models import FACTORS, RECOVERY_CODES, UNUSABLE, USERS, FactorKind, LoginAccount, PasskeyRecord
from auth_service.repositories.factors.spending import EPOCH, IS_TOTP, WHO
from auth_service.repositories.throttles.lookups import Lookup
from auth_service.repositories.users.pending_changes import AWAITS_RESET

F, R, U = FACTORS.c, RECOVERY_CODES.c, USERS.c
METHODS = ("passkey", "totp", "recovery_code")

_ACCOUNT = [U[column.name] for column in fields(LoginAccount) if column.name in U]
_RECORD = {f"passkey_{column.name}": F[column.name] for column in fields(PasskeyRecord)}


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


class FactorLookups:
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
