"""The statements that use a proof up: the code of an app, a recovery code or a signature, and with it its challenge.

On PostgreSQL they are parts of the one that opens the session, on SQLite each is one of its transaction. The account is
locked first, as everywhere; then the code is used up; then the challenge. Each of these only happens if the one before
it did.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

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
from auth_service.database.prepared import Prepared
from auth_service.models import FACTORS, RECOVERY_CODES, SPENT_CHALLENGES, USERS, FactorKind, UtcDateTime

F, R, S = FACTORS.c, RECOVERY_CODES.c, SPENT_CHALLENGES.c
SPENT_KEPT = timedelta(days=1)  # a challenge is good for five minutes: no step of a clock makes it good again

# Not `user_id`, which is a column: SQLAlchemy would set it in each UPDATE of a table that has it.
WHO = bindparam("session_user_id", type_=Uuid())
EPOCH = bindparam("session_credential_epoch", type_=USERS.c.credential_epoch.type)
IS_TOTP = and_(F.kind == FactorKind.TOTP, F.confirmed_at.is_not(None))
_DIGEST = bindparam("challenge_digest", type_=LargeBinary())

Spending: TypeAlias = Callable[[Clock, ColumnElement[Any]], Any]
"""Builds what uses a code of the user of this id up."""


def spend_step(clock: Clock, user_id: ColumnElement[Any]) -> Any:
    step, factor = bindparam("totp_step", type_=BigInteger()), bindparam("totp_factor", type_=Uuid())
    spent = update(FACTORS).values(last_step=step, last_used_at=clock.at()).returning(F.user_id)
    return spent.where(F.id == factor, F.user_id == user_id, IS_TOTP, F.last_step < step)


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
