"""Many accounts at once: inserted in batches of which one bad row costs only itself, and read in the order of ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, func, literal, or_, true
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.database.errors import fault_of_row
from auth_service.models import USERS, User

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
        self._now = connection.dialect.now

    async def add(self, rows: Sequence[Values]) -> tuple[set[UUID], dict[UUID, str]]:
        """Insert rows; return the ids of those that are new, and what the database had against others.

        A row whose address or name is already taken is in neither. If the database refuses the statement, which
        is in a savepoint, its halves are tried, down to the one row that is to blame.
        """
        if not rows:
            return set(), {}
        try:
            async with self._connection.session.begin_nested():
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

    async def find_taken(self, emails: Sequence[str], usernames: Sequence[str]) -> Sequence[User]:
        """The accounts that have one of these canonical addresses or names."""
        is_one_of = self._connection.dialect.is_one_of
        taken = or_(is_one_of(U.email_canonical, emails), is_one_of(U.username_canonical, usernames))
        return (await self._connection.session.exec(select(User).where(taken))).all()

    async def page(self, after: UUID | None, limit: int) -> Sequence[User]:
        """The next accounts in the order of their ids."""
        statement = select(User).order_by(col(User.id)).limit(limit)
        if after is not None:
            statement = statement.where(col(User.id) > after)
        return (await self._connection.session.exec(statement)).all()

    async def _insert(self, rows: Sequence[Values]) -> set[UUID]:
        given, now = self._connection.dialect.rows_of(_GIVEN, rows).c, self._now()
        values: dict[str, Any] = {column.name: given[column.name] for column in _GIVEN}
        values |= {"created_at": func.coalesce(given.created_at, now), "updated_at": now}
        values |= {name: literal(value) for name, value in _NEW.items()}
        insert = self._connection.dialect.insert(USERS)
        # Without a WHERE, SQLite would take ON CONFLICT for a join's ON.
        statement = insert.from_select(list(values), select(*values.values()).where(true()))
        return set((await self._connection.execute(statement.on_conflict_do_nothing().returning(U.id))).scalars())
