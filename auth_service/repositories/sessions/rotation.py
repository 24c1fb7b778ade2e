"""The rotation of a refresh token: the one guarded UPDATE of a refresh."""

from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)

from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared
from auth_service.models import FAST_FORWARD_LIMIT, MOST_ROTATIONS, REFRESH_TOKENS, ROTATIONS_KEPT, USERS

T = REFRESH_TOKENS.c

AUTHENTICATION = (T.authenticated_at, T.acr, T.amr, T.created_at)
RETURNED = (T.id, T.user_id, T.generation, T.rotations, T.last_used_at, T.expires_at, *AUTHENTICATION)
# Written into the hot statement: as parameters, they would be sent and read anew for each refresh.
ONE, AHEAD, KEPT, MOST_KEPT = (
    literal_column(str(number), BigInteger())
    for number in (1, FAST_FORWARD_LIMIT, ROTATIONS_KEPT, MOST_ROTATIONS + FAST_FORWARD_LIMIT)
)
KEY_BYTES, SEEN_BYTES = (literal_column(str(number), Integer()) for number in (8, 8 * 8))


def _rotate(clock: Clock, *, with_key: bool) -> Any:
    """The one statement of a refresh. A racer waits for the row, finds the generation moved on, and matches nothing.

    No time within the grace is dropped; with too many of them it matches nothing (`SessionState.is_rotated_too_often`).
    """
    given, nth = bindparam("presented_generation", type_=BigInteger()), partial(clock.dialect.nth_of, T.rotations)
    # The newest that may fall out when up to four are added: of the shorter list, and of the longer one.
    fifth, most = nth(ROTATIONS_KEPT - FAST_FORWARD_LIMIT), nth(MOST_ROTATIONS)
    kept = case((fifth > clock.after("minus_grace"), MOST_KEPT), else_=KEPT)
    is_too_often = and_(most > clock.after("minus_grace"), most <= clock.at())
    # Of two that were added at once, which is rare, more is to be told.
    caught_up = case((nth(1) == nth(2), clock.dialect.first_of(T.rotations, FAST_FORWARD_LIMIT + 1)))
    is_current, role = _current_user(clock)
    told = {T.rotations: caught_up.label("rotations")}
    return (
        update(REFRESH_TOKENS)
        .values(
            generation=given + ONE,
            rotations=clock.dialect.prepended(T.rotations, clock.at(), given - T.generation + ONE, kept),
            rotated_to=given + ONE,
            rotated_user_agent=bindparam("given_user_agent", type_=String()),
            rotated_ip=bindparam("given_ip", type_=String()),
            earlier_used_at=case((T.last_used_at < clock.this_hour(), T.last_used_at), else_=T.earlier_used_at),
            last_used_at=clock.at(),
            **(_of_key(clock) if with_key else {"idempotency_spent": true()}),
        )
        .where(T.secret_hash == bindparam("presented_hash", type_=LargeBinary()))
        .where(T.generation.between(given - AHEAD, given), is_too_often.is_not(true()))
        .where(T.revoked_at.is_(None))
        .where(T.expires_at > clock.at(), T.last_used_at > clock.after("minus_idle"), is_current)
        .returning(*(told.get(column, column) for column in RETURNED), role.label("role"))
    )


def _of_key(clock: Clock) -> dict[str, Any]:
    """What the row keeps of an Idempotency-Key. One that came with a token before stays, and is spent.

    So is, without a word here, one that comes no more, until another comes.
    """
    key = bindparam("given_idempotency_hash", type_=LargeBinary())
    start = func.substr(key, ONE, KEY_BYTES, type_=LargeBinary())
    came_before = func.coalesce(clock.dialect.position(start, T.idempotency_seen) >= ONE, false())
    is_spent = or_(key.is_not_distinct_from(T.idempotency_hash), came_before)
    seen = cast(start.concat(func.coalesce(T.idempotency_seen, literal_column("''"))), LargeBinary())
    return {
        "idempotency_hash": key,
        "idempotency_spent": is_spent,
        "idempotency_seen": case((is_spent, T.idempotency_seen), else_=func.substr(seen, ONE, SEEN_BYTES)),
    }


def _current_user(clock: Clock) -> tuple[ColumnElement[bool], ColumnElement[str]]:
    """The condition that the session is as young as its user's credentials, and the user's role."""
    u = USERS.alias("u").c  # SQLite names no table in RETURNING
    is_theirs, is_current = u.id == T.user_id, and_(u.is_active, u.credential_epoch == T.credential_epoch)
    if clock.dialect.returns_joined:  # one look at the user
        return and_(is_theirs, is_current), u.role
    of_user = select(u.role).where(is_theirs).correlate(REFRESH_TOKENS)
    return of_user.where(is_current).exists(), of_user.scalar_subquery()


ROTATE, ROTATE_WITH_KEY = (Prepared(partial(_rotate, with_key=with_key)) for with_key in (False, True))
