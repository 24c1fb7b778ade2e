"""Which usernames look alike: nobody takes one that looks like another's, if either has a letter outside ASCII.

The rule, and why an index can keep it: decision 12.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, and_, select, update

from auth_service.database.connection import Connection
from auth_service.identifiers.skeletons import skeleton
from auth_service.models import USERS

U = USERS.c
FIRST = UUID(int=0)  # the twin of whoever has a skeleton first
_FILLED: tuple[Column[Any], ...] = (U.id, U.username_skeleton, U.username_skeleton_of, U.username_twin)
_LACKS = and_(U.username_canonical.is_not(None), U.username_skeleton_of.is_distinct_from(U.username_canonical))


class _Holder(NamedTuple):
    """Of a skeleton. If an older service has renamed the account since, it is not the skeleton of its name."""

    id: UUID
    is_of_name: bool
    is_ascii: bool


class Skeletons:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def place(self, rows: Sequence[dict[str, Any]]) -> list[bool]:
        """Say of each row of an account whether nobody else's name, nor one of an earlier row, looks like its own.

        Those of which that is true get their `username_twin`. If somebody takes such a name at the same moment, the
        statement that writes the row raises `TransactionConflict`, and who looks again knows.
        """
        holders = await self._find_holders({row["username_skeleton"] for row in rows if row["username_skeleton"]})
        return [_place(row, holders) for row in rows]

    async def lacks_any(self) -> bool:
        """Whether an older service has written a name; most often none has.

        In the order of the index, which has only those. Without one PostgreSQL, which takes "distinct from" for true of
        nearly all, reads the table, to find the first of them at once; and as there is none, it reads all users.
        """
        asked = select(U.id).where(_LACKS).order_by(U.id).limit(1)
        return (await self._connection.execute(asked)).first() is not None

    async def fill(self, limit: int) -> int:
        """Give so many names their skeletons that older services have written without; return how many.

        Those that look alike stay. Rows that somebody else has locked are left to the next run.
        """
        lacking = (
            select(U.id, U.username, U.username_canonical).where(_LACKS).order_by(U.id).limit(limit)
            .with_for_update(skip_locked=True, key_share=True)
        )  # fmt: skip
        rows = [
            {"id": id_, "username_skeleton": skeleton(name), "username_skeleton_of": canonical, "username_twin": id_}
            for id_, name, canonical in await self._connection.execute(lacking)
        ]
        if rows:
            given = self._connection.dialect.rows_of(_FILLED, rows).c
            filled = {column.name: given[column.name] for column in _FILLED[1:]}
            await self._connection.execute(update(USERS).values(filled).where(U.id == given.id))
        return len(rows)

    async def _find_holders(self, skeletons: set[str]) -> dict[str, list[_Holder]]:
        if not skeletons:
            return {}
        asked = select(U.username_skeleton, U.id, U.username_skeleton_of == U.username_canonical, U.username)
        alike = asked.where(self._connection.dialect.is_one_of(U.username_skeleton, list(skeletons)))
        found: dict[str, list[_Holder]] = {}
        for key, id_, is_of_name, name in await self._connection.execute(alike):
            found.setdefault(key, []).append(_Holder(id_, bool(is_of_name), (name or "").isascii()))
        return found


def _place(row: dict[str, Any], holders: dict[str, list[_Holder]]) -> bool:
    row["username_twin"] = None
    if row["username_skeleton"] is None:
        return True
    of_skeleton = holders.setdefault(row["username_skeleton"], [])
    others = [holder for holder in of_skeleton if holder.id != row["id"]]
    is_ascii = row["username"].isascii()
    if any(other.is_of_name and not (is_ascii and other.is_ascii) for other in others):
        return False
    row["username_twin"] = row["id"] if others else FIRST
    of_skeleton.append(_Holder(row["id"], is_of_name=True, is_ascii=is_ascii))
    return True
