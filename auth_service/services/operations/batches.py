"""The transactions of one clean-up: one after the other, at its pace, and nothing held between them."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import uuid4

from auth_service.errors import DatabaseUnavailable
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import Transaction
from auth_service.services.operations.pace import Pace

BATCH_BUDGET = timedelta(seconds=30)
JOB = "cleanup"
LEASE = timedelta(seconds=10)  # longer than any rest; whoever waits for a run that was killed waits so long
# On SQLite nobody else can write during a batch: it deletes so many rows at once, until so many seconds have passed.
STEP, LONGEST_LOCK = 100, 0.1
GIVING_BACK = timedelta(seconds=2)
TRIES, BETWEEN_TRIES = 10, 0.05  # seconds: another run may be in the middle of its last batch

Delete: TypeAlias = Callable[[Transaction, int], Coroutine[Any, Any, int]]
"""Deletes up to so many rows; returns how many went."""


class Batches:
    def __init__(self, database: Database, pace: Pace, deadline: float, stopped: asyncio.Event) -> None:
        """Take a time of the monotonic clock after which no batch begins, and what ends the work before that."""
        self._database = database
        self.pace = pace
        self._deadline = deadline
        self._stopped = stopped
        self._holder = uuid4()
        self._has_begun = False
        self._let_in = self._rest = 0.0
        self._gone = 0
        self._took = 0.0
        self.is_through = False
        """Whether the last batch found fewer rows than it could have had."""

    def expect(self, left: float, share: float = 1.0) -> None:
        """Begin a part of the work, which has this share of the time that a backlog may take.

        It begins at once if the part before ended with a batch that found nothing: nobody can have felt that; and if
        the time is up, when each part has one batch.
        """
        if not self._gone or self.is_over:
            self._rest = 0.0
        self.pace.expect(left, time.monotonic(), share)

    def remain(self, left: float) -> None:
        """Take how many rows of this part are left."""
        self.pace.remain(left, time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is up, or would be before the end of a batch like the last one."""
        return self.is_stopped or time.monotonic() + self._took > self._deadline

    @property
    def is_stopped(self) -> bool:
        """Whether no batch is to begin any more, in whatever part."""
        return self._stopped.is_set()

    async def go_on(self) -> bool:
        """Rest; return whether there is time for a batch after that."""
        await self._sleep()
        return not self.is_over

    async def run(self, delete: Delete) -> int | None:
        """Delete a batch and commit, after a rest from the one before; None if another clean-up is at work.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        await self._sleep()
        for _ in range(TRIES):
            began = time.monotonic()
            async with self._database.transaction(BATCH_BUDGET) as tx:
                is_locked = await tx.become_only_cleaner(BATCH_BUDGET)
                gone = await self._run(delete, tx, began) if is_locked else None
                deleted = time.monotonic()
            if is_locked:
                break
            await asyncio.sleep(BETWEEN_TRIES)
        if gone is not None:
            self._end(gone, began, deleted)
        return gone

    async def _run(self, delete: Delete, tx: Transaction, began: float) -> int | None:
        if not await self.hold(tx):
            return None
        self._let_in = time.monotonic()
        size = self.pace.begin_batch(began)
        at_once = size if self._database.dialect.is_server else STEP
        gone = 0
        while gone < size and (not gone or time.monotonic() < self._let_in + LONGEST_LOCK):
            asked = min(at_once, size - gone)
            found = await delete(tx, asked)
            gone += found
            self.is_through = found < asked
            if self.is_through:
                break
        return gone

    def _end(self, gone: int, began: float, deleted: float) -> None:
        """Tell the pace how long the database took to let the batch begin, and to commit it.

        On SQLite the time of the deletion counts too: meanwhile nobody else can write.
        """
        now = time.monotonic()
        committing = now - (deleted if self._database.dialect.is_server else self._let_in)
        self._gone, self._took = gone, now - began
        self._rest = self.pace.end_batch(gone, max(self._let_in - began, committing), now)

    async def hold(self, tx: Transaction) -> bool:
        """Be the only run till the next transaction; False if another is. One at full speed takes over at first."""
        takes_over = self.pace.is_full_speed and not self._has_begun
        self._has_begun = True
        return await tx.job_leases.take(JOB, self._holder, LEASE, from_others=takes_over)

    async def __aenter__(self) -> None:
        """Begin what ends with the lease given back, also by an error or when it is cancelled."""

    async def __aexit__(self, *_: object) -> None:
        """Let another run begin at once. Where the database does not answer, that one has to wait for the lease."""
        with suppress(DatabaseUnavailable):
            async with self._database.transaction(GIVING_BACK) as tx:
                await tx.job_leases.give_back(JOB, self._holder)

    async def _sleep(self) -> None:
        rest, self._rest = min(self._rest, self._deadline - time.monotonic()), 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self._stopped.wait()
