"""The statements about attempts, built once for each combination of tallies: they are too large to be built each time.

Rows are locked in the order of their keys everywhere, so that two attempts never deadlock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Interval,
    LargeBinary,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from auth_service.models import THROTTLES, Allowance, Tally, UtcDateTime, Whom

T = THROTTLES.c
INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
Shape = tuple[tuple[Allowance, Whom], ...]


@dataclass(frozen=True)
class Statement:
    """A statement whose keys and, on SQLite, whose times are parameters."""

    clause: Any
    on_postgresql: bool
    times: dict[str, timedelta]

    def parameters(self, tallies: Sequence[Tally], lease: timedelta) -> dict[str, Any]:
        keys: dict[str, Any] = {f"key{number}": tally.key for number, tally in enumerate(tallies)}
        if self.on_postgresql:
            return keys | {"lease": lease}
        now = datetime.now(UTC)
        return keys | {name: now + ahead for name, ahead in self.times.items()} | {"lease": now + lease}


@dataclass(frozen=True)
class Statements:
    reserve: Statement
    spend: Statement
    blocks: Statement
    fail: Statement
    succeed: Statement


def statements_for(dialect: str, tallies: Sequence[Tally]) -> Statements:
    """The statements for attempts of these tallies, whatever their keys."""
    return _statements(dialect, tuple((tally.allowance, tally.whom) for tally in tallies))


def in_order(keys: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row has one of these keys; locks them in their order."""
    row = THROTTLES.alias("row")
    return T.key.in_(select(row.c.key).where(row.c.key.in_(keys)).order_by(row.c.key).with_for_update())


_NAMES = ("reserve", "spend", "blocks", "fail", "succeed")


@cache
def _statements(dialect: str, shape: Shape) -> Statements:
    return Statements(*(_Builder(dialect, shape).build(name) for name in _NAMES))


class _Builder:
    """Builds one statement. `_at()` is the database's time, and on SQLite the process's."""

    def __init__(self, dialect: str, shape: Shape) -> None:
        self._dialect = dialect
        self._times: dict[str, timedelta] = {}
        self._shape = shape
        self._keys = [bindparam(f"key{number}", type_=LargeBinary()) for number in range(len(shape))]
        self._now = self._at(timedelta(0))

    def build(self, name: str) -> Statement:
        clause = getattr(self, name)()
        return Statement(clause, self._dialect == "postgresql", self._times)

    def reserve(self) -> Any:
        """Let an attempt in that is decided later."""
        lease = bindparam("lease", type_=Interval() if self._dialect == "postgresql" else UtcDateTime())
        until = type_coerce(func.clock_timestamp() + lease, UtcDateTime()) if self._dialect == "postgresql" else lease
        first = {"failures": literal(0), "pending": literal(1), "pending_until": until, "blocked_until": self._now}
        taken = {"failures": self._failures(T), "pending": self._pending(T) + 1, "pending_until": until}
        return self._let_in(first, taken).returning(T.key)

    def spend(self) -> Any:
        """Let an attempt in that counts whatever comes of it. One cannot be all that is allowed."""
        first = {"failures": literal(1), "pending": literal(0), "pending_until": self._now, "blocked_until": self._now}
        taken = {
            "failures": self._failures(T) + 1,
            "blocked_until": self._by_key(T.key, self._blocked_until, T.blocked_until),
        }
        statement = self._let_in(first, taken)
        return statement.returning(T.key, T.failures, T.blocked_until, self._now.label("now"))

    def _let_in(self, first: dict[str, Any], again: dict[str, Any]) -> Any:
        """Insert or change the rows that concern an attempt, if each of them has room."""
        seen, wanted = THROTTLES.alias("seen"), self._fresh()
        full = self._concerned(seen.c.key, seen.c.key).where(~self._has_room(seen.c))
        values = {"key": wanted.c.key, "expires_at": wanted.c.expires_at, **first}
        chosen = self._concerned(wanted.c.key, *values.values()).where(~full.exists()).order_by(wanted.c.key)
        statement = INSERT[self._dialect](THROTTLES).from_select(list(values), chosen)
        life = case((T.expires_at <= self._now, statement.excluded.expires_at), else_=T.expires_at)
        return statement.on_conflict_do_update(
            index_elements=[T.key], set_={**again, "expires_at": life}, where=self._has_room(T)
        )

    def blocks(self) -> Any:
        columns = (T.key, T.failures, T.blocked_until, self._now.label("now"))
        return self._concerned(T.key, *columns).where(T.blocked_until > self._now)

    def fail(self) -> Any:
        pending = self._pending(T)
        values = {
            "failures": self._failures(T) + 1, "pending": case((pending > 0, pending - 1), else_=0),
            "blocked_until": self._by_key(T.key, self._blocked_until, T.blocked_until),
            "expires_at": self._by_key(T.key, self._remembered_until, T.expires_at),
        }  # fmt: skip
        statement = update(THROTTLES).values(**values).where(in_order(self._keys))
        return statement.returning(T.key, T.failures, T.blocked_until, self._now.label("now"))

    def succeed(self) -> Any:
        fresh = self._fresh(only_known=True)
        values = {
            "key": fresh.c.key, "failures": literal(0), "pending": literal(0), "pending_until": self._now,
            "blocked_until": self._now, "expires_at": fresh.c.expires_at,
        }  # fmt: skip
        every = select(*values.values()).where(fresh.c.key.is_not(None)).order_by(fresh.c.key)
        statement = INSERT[self._dialect](THROTTLES).from_select(list(values), every)
        later = statement.excluded.expires_at
        ended = self._by_key(T.key, lambda allowance: literal(int(bool(allowance.delays))), literal(0)) == 1
        changed = {
            "failures": case((ended, 0), else_=T.failures),
            "pending": case((T.pending > 0, T.pending - 1), else_=0),
            "blocked_until": case((ended, self._now), else_=T.blocked_until),
            "expires_at": case((T.expires_at < later, later), else_=T.expires_at),
        }
        return statement.on_conflict_do_update(index_elements=[T.key], set_=changed)

    def _at(self, ahead: timedelta) -> ColumnElement[Any]:
        """The time now, plus `ahead`; `clock_timestamp()`, because a statement may have waited for a lock."""
        if self._dialect == "postgresql":
            return type_coerce(func.clock_timestamp() + literal(ahead, Interval()), UtcDateTime())
        name = f"in_{ahead.total_seconds():.0f}"
        self._times[name] = ahead
        return bindparam(name, type_=UtcDateTime())

    def _fresh(self, *, only_known: bool = False) -> Any:
        """Rows of a key and the time until which a first attempt is remembered, or only a known network's."""
        rows = []
        for key, (allowance, whom) in zip(self._keys, self._shape, strict=True):
            life = timedelta(0) if only_known and whom is not Whom.KNOWN else allowance.memory
            rows.append(select(key.label("key"), self._at(life).label("expires_at")))
        return union_all(*rows).subquery("wanted")

    def _concerned(self, key: ColumnElement[bytes], *columns: Any) -> Select[Any]:
        """Select the tallies that concern an attempt; whether it comes from a known network, only the table knows."""
        row, home = THROTTLES.alias("network"), self._keys_of(Whom.KNOWN)
        known = select(row.c.key).where(row.c.key.in_(home), row.c.expires_at > self._now).exists()
        is_known = known if home else false()
        concerned = or_(
            key.in_(self._keys_of(Whom.ANYBODY)),
            and_(is_known, key.in_(home)),
            and_(~is_known, key.in_(self._keys_of(Whom.STRANGER))),
        )
        return select(*columns).where(key.in_(self._keys), concerned)

    def _keys_of(self, whom: Whom) -> list[Any]:
        return [key for key, (_, who) in zip(self._keys, self._shape, strict=True) if who is whom]

    def _failures(self, row: Any) -> ColumnElement[int]:
        """The failures that count: with those whose process died before it could decide, and none of an expired row."""
        lost = row.failures + row.pending
        return case((row.expires_at <= self._now, 0), (row.pending_until <= self._now, lost), else_=row.failures)

    def _pending(self, row: Any) -> ColumnElement[int]:
        return case((or_(row.expires_at <= self._now, row.pending_until <= self._now), 0), else_=row.pending)

    def _has_room(self, row: Any) -> ColumnElement[bool]:
        """Whether a row takes one more attempt: what is left of its allowance, and after the block of a delay one."""
        left = self._by_key(row.key, lambda allowance: literal(allowance.failures), literal(0)) - self._failures(row)
        return and_(row.blocked_until <= self._now, self._pending(row) < case((left > 1, left), else_=1))

    def _blocked_until(self, allowance: Allowance) -> ColumnElement[Any]:
        """The end of the block that one more failure leads to; the longest that applies."""
        failures = self._failures(T) + 1
        if not allowance.delays:
            return case((failures >= allowance.failures, self._remembered_until(allowance)), else_=T.blocked_until)
        steps = ((failures >= count, self._at(delay)) for count, delay in reversed(allowance.delays))
        return case(*steps, else_=T.blocked_until)

    def _remembered_until(self, allowance: Allowance) -> ColumnElement[Any]:
        fresh = self._at(allowance.memory)
        return fresh if allowance.renewed else case((T.expires_at <= self._now, fresh), else_=T.expires_at)

    def _by_key(
        self, key: Any, value: Callable[[Allowance], ColumnElement[Any]], otherwise: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        pairs = zip(self._keys, self._shape, strict=True)
        return case(*((key == given, value(allowance)) for given, (allowance, _) in pairs), else_=otherwise)
