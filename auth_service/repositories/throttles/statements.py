"""The statements about attempts, built once for each combination of tallies: they are too large to be built each time.

Rows are locked in the order of their keys everywhere, so that two attempts never deadlock.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    and_,
    bindparam,
    case,
    false,
    literal,
    or_,
    select,
    union_all,
    update,
)

from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared
from auth_service.models import THROTTLES, Allowance, Tally, Whom
from auth_service.repositories.throttles.tally_rows import TallyRow

T = THROTTLES.c
Shape = tuple[tuple[Allowance, Whom], ...]


class Statements(NamedTuple):
    """One of each kind; their parameters are `key0`, `key1` and so on, and `reserved_for`."""

    reserve: Prepared
    spend: Prepared
    blocks: Prepared
    shorten: Prepared
    fail: Prepared
    succeed: Prepared


def statements_for(tallies: Sequence[Tally]) -> Statements:
    """The statements for attempts of these tallies, whatever their keys."""
    return _statements(shape_of(tallies))


def shape_of(tallies: Sequence[Tally]) -> Shape:
    """What the statements depend on."""
    return tuple((tally.allowance, tally.whom) for tally in tallies)


def in_order(keys: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row has one of these keys; locks them in their order."""
    row = THROTTLES.alias("row")
    return T.key.in_(select(row.c.key).where(row.c.key.in_(keys)).order_by(row.c.key).with_for_update())


_NAMES = ("reserve", "spend", "blocks", "shorten", "fail", "succeed")


@cache
def _statements(shape: Shape) -> Statements:
    def build(name: str, clock: Clock, *conditions: ColumnElement[bool]) -> Any:
        return getattr(Builder(clock, shape), name)(*conditions)

    return Statements(*(Prepared(partial(build, name)) for name in _NAMES))


def parameters(shape: Shape) -> list[ColumnElement[bytes]]:
    return [bindparam(f"key{number}", type_=LargeBinary()) for number in range(len(shape))]


class Builder:
    """Builds one statement, for the keys of its parameters or for those that it is given."""

    def __init__(self, clock: Clock, shape: Shape, keys: Sequence[ColumnElement[bytes]] = ()) -> None:
        self._clock = clock
        self._dialect = clock.dialect
        self._row = TallyRow(clock)
        self._shape = shape
        self._keys = keys or parameters(shape)
        self._now = clock.at()

    def reserve(self, *conditions: ColumnElement[bool]) -> Any:
        """Let an attempt in that is decided later."""
        until = self._clock.after("reserved_for")
        first = {"failures": literal(0), "pending": literal(1), "pending_until": until, "blocked_until": self._now}
        taken = {"failures": self._row.failures, "pending": self._row.pending + 1, "pending_until": until}
        return self._let_in(first, taken, *conditions).returning(T.key)

    def spend(self) -> Any:
        """Let an attempt in that counts whatever comes of it. One cannot be all that is allowed."""
        first = {"failures": literal(1), "pending": literal(0), "pending_until": self._now, "blocked_until": self._now}
        taken = {
            "failures": self._row.failures + 1,
            "blocked_until": self._by_key(T.key, self._row.blocked_until, T.blocked_until),
        }
        statement = self._let_in(first, taken)
        return statement.returning(T.key, T.failures, T.blocked_until, self._now.label("now"))

    def _let_in(self, first: dict[str, Any], again: dict[str, Any], *conditions: ColumnElement[bool]) -> Any:
        """Insert or change the rows that concern an attempt, if each of them has room."""
        wanted, concerned, full = self._wanted()
        values = {"key": wanted.c.key, "expires_at": wanted.c.expires_at, **first}
        chosen = select(*values.values()).where(concerned, ~full.exists(), *conditions).order_by(wanted.c.key)
        statement = self._dialect.insert(THROTTLES).from_select(list(values), chosen)
        life = case((T.expires_at <= self._now, statement.excluded.expires_at), else_=T.expires_at)
        return statement.on_conflict_do_update(
            index_elements=[T.key], set_={**again, "expires_at": life}, where=self._row.has_room(self._allowed(T.key))
        )

    def _wanted(self) -> tuple[FromClause, ColumnElement[bool], Select[Any]]:
        """Rows of a key and the time until which a first attempt is remembered; which of them concern an attempt; and
        those in the table that concern it and have no room.
        """
        wanted, seen = self._fresh(), THROTTLES.alias("seen")
        has_room = TallyRow(self._clock, seen.c).has_room(self._allowed(seen.c.key))
        return wanted, self._concerns(wanted.c.key), self._concerned(seen.c.key, seen.c.key).where(~has_room)

    def _allowed(self, key: ColumnElement[bytes]) -> ColumnElement[int]:
        return self._by_key(key, lambda allowance: literal(allowance.failures), literal(0))

    def blocks(self) -> Any:
        too_long = self._is_too_long().label("too_long")
        columns = (T.key, T.failures, T.blocked_until, self._now.label("now"), too_long)
        return self._concerned(T.key, *columns).where(or_(T.blocked_until > self._now, too_long))

    def shorten(self) -> Any:
        """Bring times of a clock that was ahead down to the latest that they can be by this one."""
        latest = self._latest_times()
        values = {name: case((T[name] > time, time), else_=T[name]) for name, time in latest.items()}
        return update(THROTTLES).values(**values).where(in_order(self._keys), self._is_too_long()).returning(T.key)

    def _is_too_long(self) -> ColumnElement[bool]:
        return or_(*(T[name] > time for name, time in self._latest_times().items()))

    def _latest_times(self) -> dict[str, ColumnElement[Any]]:
        """What an attempt now would set at most; a row can have more only if the clock has been set back since."""
        return {
            "blocked_until": self._by_key(T.key, self._row.latest_block, self._now),
            "pending_until": self._clock.after("reserved_for"),
            "expires_at": self._by_key(T.key, lambda allowance: self._clock.at(allowance.memory), T.expires_at),
        }

    def fail(self) -> Any:
        pending = self._row.pending
        counted = self._by_key(T.key, lambda allowance: literal(int(not allowance.counts_successes)), literal(0))
        values = {
            "failures": self._row.failures + counted, "pending": case((pending > 0, pending - 1), else_=0),
            "blocked_until": self._by_key(T.key, self._row.blocked_by_failure, T.blocked_until),
            "expires_at": self._by_key(T.key, self._row.remembered_until, T.expires_at),
        }  # fmt: skip
        statement = update(THROTTLES).values(**values).where(in_order(self._keys))
        return statement.returning(T.key, T.failures, T.blocked_until, self._now.label("now"))

    def succeed(self, *conditions: ColumnElement[bool]) -> Any:
        """Note a right attempt; as a part of another statement, under its conditions."""
        fresh = self._fresh(only_known=True)
        values = {
            "key": fresh.c.key, "failures": literal(0), "pending": literal(0), "pending_until": self._now,
            "blocked_until": self._now, "expires_at": fresh.c.expires_at,
        }  # fmt: skip
        every = select(*values.values()).where(fresh.c.key.is_not(None), *conditions).order_by(fresh.c.key)
        statement = self._dialect.insert(THROTTLES).from_select(list(values), every)
        later = statement.excluded.expires_at
        ended = self._by_key(T.key, lambda allowance: literal(int(bool(allowance.delays))), literal(0)) == 1
        counted = self._by_key(T.key, lambda allowance: literal(int(allowance.counts_successes)), literal(0))
        changed = {
            "failures": case((ended, 0), else_=T.failures + counted),
            "pending": case((T.pending > 0, T.pending - 1), else_=0),
            "blocked_until": case(
                (ended, self._now), else_=self._by_key(T.key, self._row.blocked_by_success, T.blocked_until)
            ),
            "expires_at": case((T.expires_at < later, later), else_=T.expires_at),
        }
        return statement.on_conflict_do_update(index_elements=[T.key], set_=changed)

    def _fresh(self, *, only_known: bool = False) -> Any:
        """Rows of a key and the time until which a first attempt is remembered, or only a known network's."""
        rows = []
        for key, (allowance, whom) in zip(self._keys, self._shape, strict=True):
            life = timedelta(0) if only_known and whom is not Whom.KNOWN else allowance.memory
            rows.append(select(key.label("key"), self._clock.at(life).label("expires_at")))
        return union_all(*rows).subquery("wanted")

    def _concerned(self, key: ColumnElement[bytes], *columns: Any) -> Select[Any]:
        """Select the tallies that concern an attempt."""
        return select(*columns).where(self._concerns(key))

    def _concerns(self, key: ColumnElement[bytes]) -> ColumnElement[bool]:
        """Whether a tally concerns an attempt; whether that comes from a known network, only the table knows."""
        row = THROTTLES.alias("network")
        home = select(row.c.key).where(self._is_of(Whom.KNOWN, row.c.key), row.c.expires_at > self._now).exists()
        concerned = or_(
            self._is_of(Whom.ANYBODY, key),
            and_(home, self._is_of(Whom.KNOWN, key)),
            and_(~home, self._is_of(Whom.STRANGER, key)),
        )
        return and_(key.in_(self._keys), concerned)

    def _is_of(self, whom: Whom, key: ColumnElement[bytes]) -> ColumnElement[bool]:
        keys = [given for given, (_, who) in zip(self._keys, self._shape, strict=True) if who is whom]
        return key.in_(keys) if keys else false()

    def _by_key(
        self, key: Any, value: Callable[[Allowance], ColumnElement[Any]], otherwise: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        pairs = zip(self._keys, self._shape, strict=True)
        return case(*((key == given, value(allowance)) for given, (allowance, _) in pairs), else_=otherwise)
