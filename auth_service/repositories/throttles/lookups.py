"""An account that is looked for, and an attempt that is let in on its tallies by the same statement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Interval,
    LargeBinary,
    Select,
    bindparam,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    values,
)

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared
from auth_service.models import THROTTLES, Whom
from auth_service.repositories.throttles.statements import Builder, Shape, parameters
from auth_service.repositories.throttles.tally_rows import TallyRow

Found = TypeVar("Found")


@dataclass(frozen=True)
class Lookup(Generic[Found]):
    """An account that is looked for, alone or by the statement that reserves an attempt for it.

    `read` makes it of a row. Where rows have a column `is_current`, nothing is reserved unless that is true.
    """

    statement: Prepared
    values: Mapping[str, Any]
    read: Callable[[Mapping[Any, Any]], Found]

    async def find(self, connection: Connection) -> Found | None:
        rows = await self.statement.execute(connection, **self.values)
        return self.read(rows[0]) if rows else None


@cache
def find_and_reserve(find: Prepared, shape: Shape, of_account: tuple[bool, ...]) -> Prepared:
    """Find an account, and let an attempt in on its tallies, as one statement, which SQLite cannot do.

    Return one row: what was found, or NULLs, and the keys that are `reserved`. Those `of_account` are made of its id,
    or of the parameter `unknown` if there is none. If the account has a column `is_current`, that must be true.
    """

    def build(clock: Clock) -> Any:
        account = find.build(clock).cte("account")
        id_ = func.uuid_send(select(account.c.id).scalar_subquery(), type_=LargeBinary())
        who = select(func.coalesce(id_, bindparam("unknown", type_=LargeBinary())).label("id")).cte("who")
        keys = [
            func.sha256(key.concat(who.c.id), type_=LargeBinary()) if is_part else key
            for key, is_part in zip(parameters(shape), of_account, strict=True)
        ]
        conditions = [select(account.c.id).where(account.c.is_current).exists()] if "is_current" in account.c else []
        reserved = _BuilderForAccount(clock, shape, keys, who).reserve(*conditions).cte("reserved")
        found = select(literal(1)).subquery().outerjoin(account, true())
        every = select(func.array_agg(reserved.c.key, type_=ARRAY(LargeBinary()))).scalar_subquery()
        return select(*account.c, every.label("reserved")).select_from(found)

    return Prepared(build)


class _BuilderForAccount(Builder):
    """Builds it for keys that PostgreSQL makes of `who`. Each is made once: as an expression, it would be a part of the
    plan wherever a key is compared, which the database sets up for each execution.
    """

    def __init__(self, clock: Clock, shape: Shape, keys: Sequence[ColumnElement[bytes]], who: FromClause) -> None:
        super().__init__(clock, shape, keys)
        known = {Whom.KNOWN: true(), Whom.STRANGER: false(), Whom.ANYBODY: cast(null(), Boolean())}
        rows = [
            (key, literal(allowance.failures), literal(allowance.memory, Interval()), known[whom])
            for key, (allowance, whom) in zip(keys, shape, strict=True)
        ]
        counted = (column("failures", Integer()), column("memory", Interval()), column("is_known", Boolean()))
        given = values(column("key", LargeBinary()), *counted, name="given").data(rows).lateral()
        tallies = select(*given.c).select_from(who.join(given, true())).cte("tallies")
        row = THROTTLES.alias("network")
        is_home = select(row.c.key).where(row.c.key == tallies.c.key, row.c.expires_at > self._now).exists()
        home = select(tallies.c.key).where(tallies.c.is_known, is_home).exists()
        concerned = or_(tallies.c.is_known.is_(None), tallies.c.is_known == home)
        expires_at = (self._now + tallies.c.memory).label("expires_at")
        self._tallies = select(tallies.c.key, tallies.c.failures, expires_at).where(concerned).cte("concerned")

    def _wanted(self) -> tuple[FromClause, ColumnElement[bool], Select[Any]]:
        seen, all_of_them = THROTTLES.alias("seen").c, self._tallies.alias("all_of_them").c
        full = select(seen.key).where(
            seen.key == all_of_them.key, ~TallyRow(self._clock, seen).has_room(all_of_them.failures)
        )
        return self._tallies, true(), full

    def _allowed(self, key: ColumnElement[bytes]) -> ColumnElement[int]:
        of_row = literal_column(str(key), key.type)  # which is no table of the subquery's own
        return select(self._tallies.c.failures).where(self._tallies.c.key == of_row).scalar_subquery()
