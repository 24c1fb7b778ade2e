"""Attempts, counted. One statement lets an attempt in on all of its tallies, or on none: the database judges races."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import update

from auth_service.database.connection import Connection
from auth_service.database.expiry import count_expired, delete_expired
from auth_service.database.prepared import Prepared, Rows
from auth_service.models import THROTTLES, Tally, Whom
from auth_service.repositories.throttles.lookups import Found, Lookup, find_and_reserve
from auth_service.repositories.throttles.statements import in_order, shape_of, statements_for

T = THROTTLES.c


class Block(NamedTuple):
    """A tally that is closed, and for how long."""

    tally: Tally
    failures: int
    length: timedelta

    @property
    def is_first(self) -> bool:
        """Whether it is the first one of the failures in a row."""
        return bool(self.tally.allowance.delays) and self.failures == self.tally.allowance.failures


class Success(NamedTuple):
    """What notes that an attempt was right, which may be done with other things: a statement and its values."""

    statement: Prepared
    values: dict[str, Any]

    @classmethod
    def of(cls, tallies: Sequence[Tally], known: Sequence[Tally] = ()) -> Self:
        """It gives the attempt back, wipes out the failures in a row that it ended, and remembers the network by the
        tallies of `known`.
        """
        several = (*tallies, *(tally for tally in known if tally not in tallies))
        return cls(statements_for(several).succeed, _keys(several))


class Throttles:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def reserve(self, tallies: Sequence[Tally], reserved_for: timedelta) -> frozenset[bytes]:
        """Let one attempt in on every tally that concerns it; return their keys, or nothing if one of them is full.

        Failures and attempts under way fill a tally alike. A refused attempt writes nothing and locks nothing, but for
        a race that the rows themselves decide. After `reserved_for` an undecided attempt counts as failed.
        """
        statement = statements_for(tallies).reserve
        rows = await self._run(statement, tallies, reserved_for)
        return await self._all_or_none([row["key"] for row in rows], tallies)

    async def find_and_reserve(
        self, lookup: Lookup[Found], tallies: Sequence[Tally], reserved_for: timedelta, unknown: bytes
    ) -> tuple[Found | None, UUID | None, Sequence[Tally], frozenset[bytes]]:
        """Find an account, and in the same statement let an attempt in as `reserve()` does, which SQLite cannot do.

        Return it and its id, the tallies about it, or about `unknown` if there is none, and the keys of `reserve()`.
        """
        statement, values = lookup.statement, {**lookup.values, **_keys(tallies)}
        if self._connection.dialect.writes_in_ctes:
            of_account = tuple(tally.of_account for tally in tallies)
            statement = find_and_reserve(statement, shape_of(tallies), of_account)
            values |= {"unknown": unknown, "reserved_for": reserved_for}
        rows = await statement.execute(self._connection, **values)
        id_ = rows[0]["id"] if rows else None
        whole = [tally.about(unknown if id_ is None else id_.bytes) for tally in tallies]
        taken = await self._all_or_none((rows and rows[0].get("reserved")) or (), whole)
        return None if id_ is None else lookup.read(rows[0]), id_, whole, taken

    async def _all_or_none(self, taken: Iterable[bytes], tallies: Sequence[Tally]) -> frozenset[bytes]:
        keys = frozenset(taken)
        if keys in {_concerned(tallies, Whom.KNOWN), _concerned(tallies, Whom.STRANGER)}:
            return keys
        if keys:
            await self.release(keys)  # another attempt was faster on one of them
        return frozenset()

    async def spend(self, tallies: Sequence[Tally]) -> list[Block] | None:
        """Let one attempt in and count it, whatever comes of it; return what it closed, or None if it is not let in."""
        rows = await self._run(statements_for(tallies).spend, tallies)
        return _blocks(rows, tallies) if len(rows) == len(tallies) else None

    async def blocks(self, tallies: Sequence[Tally], reserved_for: timedelta) -> list[Block]:
        """The blocks that stand in the way of an attempt; none if it is in the way of undecided ones only.

        One that is longer than it can be was written by a clock that was ahead, and is shortened first: nobody waits
        until the clock has caught up.
        """
        statements = statements_for(tallies)
        rows = await self._run(statements.blocks, tallies, reserved_for)
        if any(row["too_long"] for row in rows):
            await self._run(statements.shorten, tallies, reserved_for)
            rows = await self._run(statements.blocks, tallies, reserved_for)
        return _blocks(rows, tallies)

    async def fail(self, tallies: Sequence[Tally]) -> list[Block]:
        """Turn an attempt that was let in into a failure; return the tallies that it closed."""
        rows = await self._run(statements_for(tallies).fail, tallies)
        return _blocks(rows, tallies)

    async def succeed(self, success: Success) -> None:
        """Note that an attempt was right."""
        await success.statement.execute(self._connection, **success.values)

    async def forgive(self, keys: Sequence[bytes]) -> None:
        """Wipe out failures and the block that they led to; attempts under way are not decided by that."""
        wiped = update(THROTTLES).values(failures=0, blocked_until=self._now())
        await self._connection.execute(wiped.where(in_order(keys)))

    async def release(self, keys: Iterable[bytes]) -> None:
        """Take back an attempt that was never decided."""
        statement = update(THROTTLES).values(pending=T.pending - 1).where(in_order(list(keys)), T.pending > 0)
        await self._connection.execute(statement)

    async def delete_expired(self, limit: int) -> int:
        """Delete up to `limit` rows that mean nothing any more, skipping those that are locked; return how many."""
        return await delete_expired(self._connection, THROTTLES, limit)

    async def count_expired(self) -> int:
        """Return how many a clean-up would find."""
        return await count_expired(self._connection, THROTTLES)

    async def _run(self, statement: Prepared, tallies: Sequence[Tally], reserved_for: timedelta = timedelta(0)) -> Rows:
        return await statement.execute(self._connection, **_keys(tallies), reserved_for=reserved_for)


def _keys(tallies: Sequence[Tally]) -> dict[str, Any]:
    return {f"key{number}": tally.key for number, tally in enumerate(tallies)}


def _concerned(tallies: Sequence[Tally], whom: Whom) -> frozenset[bytes]:
    return frozenset(tally.key for tally in tallies if tally.whom in {whom, Whom.ANYBODY})


def _blocks(rows: Rows, tallies: Sequence[Tally]) -> list[Block]:
    by_key = {tally.key: tally for tally in tallies}
    closed = (row for row in rows if row["blocked_until"] > row["now"])
    return [Block(by_key[row["key"]], row["failures"], row["blocked_until"] - row["now"]) for row in closed]
