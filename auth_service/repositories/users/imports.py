"""Many accounts at once: inserted in batches of which one bad row costs only itself, and read in the order of ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, func, literal, or_, true
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.database.errors.translation import fault_of_row
from auth_service.models import USERS, User
from auth_service.repositories.users.skeletons import Skeletons

U = USERS.c
Values = dict[str, Any]
_GIVEN: tuple[Column[Any], ...] = (
    U.id, U.email, U.email_canonical, U.username, U.username_canonical, U.username_skeleton, U.username_skeleton_of,
    U.username_twin, U.hashed_password, U.role, U.is_active, U.is_verified, U.created_at,
)  # fmt: skip
_NEW = {"credential_epoch": 0}


class UserImports:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def add(self, rows: Sequence[Values]) -> tuple[set[int], dict[int, str]]:
        """Insert rows; return the places of those that are new, and what the database had against others, by place.

        A row whose id, address or name is already taken, or whose name looks like another's, is in neither. If the
        database refuses the statement, which is in a savepoint, its halves are tried, down to the one row that is to
        blame.
        """
        placed = await Skeletons(self._connection).place(rows)
        places = [place for place, may_come in enumerate(placed) if may_come]
        added, reasons = await self._add([rows[place] for place in places])
        return {places[place] for place in added}, {places[place]: reason for place, reason in reasons.items()}

    async def _add(self, rows: Sequence[Values]) -> tuple[set[int], dict[int, str]]:
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
            return set(), {0: refused}
        middle = len(rows) // 2
        added, reasons = await self._add(rows[:middle])
        more_added, more_reasons = await self._add(rows[middle:])
        more = {middle + place: reason for place, reason in more_reasons.items()}
        return added | {middle + place for place in more_added}, reasons | more

    async def find_taken(self, emails: Sequence[str], usernames: Sequence[str], ids: Sequence[UUID]) -> Sequence[User]:
        """The accounts that have one of these canonical addresses or names, or one of these ids."""
        is_one_of = self._connection.dialect.is_one_of
        pairs = ((U.email_canonical, emails), (U.username_canonical, usernames), (U.id, ids))
        taken = or_(*(is_one_of(column, values) for column, values in pairs if values))
        return (await self._connection.session.exec(select(User).where(taken))).all()

    async def page(self, after: UUID | None, limit: int) -> Sequence[User]:
        """The next accounts in the order of their ids."""
        statement = select(User).order_by(col(User.id)).limit(limit)
        if after is not None:
            statement = statement.where(col(User.id) > after)
        return (await self._connection.session.exec(statement)).all()

    async def _insert(self, rows: Sequence[Values]) -> set[int]:
        given, now = self._connection.dialect.rows_of(_GIVEN, rows).c, self._now()
        values: dict[str, Any] = {column.name: given[column.name] for column in _GIVEN}
        values |= {"created_at": func.coalesce(given.created_at, now), "updated_at": now}
        values |= {name: literal(value) for name, value in _NEW.items()}
        insert = self._connection.dialect.insert(USERS)
        # Without a WHERE, SQLite would take ON CONFLICT for a join's ON.
        statement = insert.from_select(list(values), select(*values.values()).where(true()))
        new = statement.on_conflict_do_nothing().returning(U.id, U.email_canonical)
        # Ids that a file gives may be there twice, and one of two rows with both the same is as good as the other.
        places = {(row["id"], row["email_canonical"]): place for place, row in reversed(list(enumerate(rows)))}
        return {places[user_id, email] for user_id, email in await self._connection.execute(new)}
