"""Many accounts at once: inserted in batches of which one bad row costs only itself, and read in the order of ids."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, ColumnElement, Row, any_, column, func, literal, or_, select
from sqlalchemy.exc import DBAPIError

from auth_service.database.clock import time_of
from auth_service.database.connection import Connection
from auth_service.database.errors import fault_of_row
from auth_service.database.inserts import insert_into
from auth_service.models import USERS

U = USERS.c
Values = dict[str, Any]
_GIVEN: tuple[Column[Any], ...] = (
    U.id, U.email, U.email_canonical, U.username, U.username_canonical, U.hashed_password, U.role, U.is_active,
    U.is_verified, U.created_at,
)  # fmt: skip
_NEW = {"credential_epoch": 0}


class UserImports:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[Values]) -> tuple[set[UUID], dict[UUID, str]]:
        """Insert rows; return the ids of those that are new, and what the database had against others.

        A row whose address or name is somebody's already is in neither. If the database refuses the statement, which
        is in a savepoint, its halves are tried, down to the one row that is to blame.
        """
        if not rows:
            return set(), {}
        try:
            async with self._connection.whole.begin_nested():
                return await self._insert(rows), {}
        except DBAPIError as error:
            refused = fault_of_row(error)
            if refused is None:
                raise
        if len(rows) == 1:
            return set(), {rows[0]["id"]: refused}
        middle = len(rows) // 2
        added, reasons = await self.add(rows[:middle])
        more_added, more_reasons = await self.add(rows[middle:])
        return added | more_added, reasons | more_reasons

    async def find_taken(self, emails: Sequence[str], usernames: Sequence[str]) -> Sequence[Row[Any]]:
        """The accounts that have one of these canonical addresses or names."""
        taken = or_(self._among(U.email_canonical, emails), self._among(U.username_canonical, usernames))
        return (await self._connection.execute(select(USERS).where(taken))).all()

    def _among(self, column: Column[Any], names: Sequence[str]) -> ColumnElement[bool]:
        """On PostgreSQL one parameter instead of thousands, which take longer to write down than to find."""
        if self._connection.dialect.name == "postgresql":
            return column == any_(literal(list(names), ARRAY(column.type)))
        return column.in_(names)

    async def page(self, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
        """The next accounts in the order of their ids."""
        statement = select(USERS).order_by(U.id).limit(limit)
        if after is not None:
            statement = statement.where(U.id > after)
        return (await self._connection.execute(statement)).all()

    async def _insert(self, rows: Sequence[Values]) -> set[UUID]:
        if self._connection.dialect.name == "postgresql":
            found = await self._connection.execute(self._of_arrays(rows))
        else:
            now = datetime.now(UTC)
            whole = [row | {"created_at": row["created_at"] or now, "updated_at": now, **_NEW} for row in rows]
            insert = insert_into(USERS, self._connection.dialect.name).on_conflict_do_nothing()
            found = await self._connection.execute(insert.returning(U.id), whole)
        return set(found.scalars())

    def _of_arrays(self, rows: Sequence[Values]) -> Any:
        """One parameter for each column: a statement takes 32,767 of them, and a batch has more values than that."""
        arrays = [literal([row[given.name] for row in rows], ARRAY(given.type)) for given in _GIVEN]
        table = func.unnest(*arrays).table_valued(*(column(given.name, given.type) for given in _GIVEN))
        given = table.render_derived(name="given").c
        now = time_of(self._connection)
        values: dict[str, Any] = {one.name: given[one.name] for one in _GIVEN}
        values |= {"created_at": func.coalesce(given.created_at, now), "updated_at": now}
        values |= {name: literal(value) for name, value in _NEW.items()}
        statement = insert_into(USERS, "postgresql").from_select(list(values), select(*values.values()))
        return statement.on_conflict_do_nothing().returning(U.id)
