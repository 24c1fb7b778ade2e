"""Attempts are reserved in the database before any password is hashed, and decided after.

So neither parallel requests nor more replicas buy a guess. Nothing is held while an attempt is under way.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from auth_service.errors import HashingOverloaded, InvalidCredentials, Refused, TooManyAttempts
from auth_service.models import SecurityEvent, Tally, Whom
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.throttles.lookups import Found, Lookup
from auth_service.repositories.throttles.throttles import Block
from auth_service.repositories.transaction import Transaction
from auth_service.services.operations.audit import Audit
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.turns import Turns

RESERVATION_MARGIN = timedelta(seconds=10)  # beyond two turns in the hashing lane: who is not back then has died
PAUSE_FIRST, PAUSE_MOST = 0.01, 0.2  # seconds


class Attempts:
    """`patience` is how long an attempt waits for others, and for the database's attention."""

    def __init__(self, database: Database, audit: Audit, patience: timedelta) -> None:
        self._database = database
        self._audit = audit
        self._patience = patience.total_seconds()
        self._reserved_for = 2 * patience + RESERVATION_MARGIN
        self._turns = Turns()
        self._releasing: set[asyncio.Task[None]] = set()
        self.refused: Counter[str] = Counter()

    @asynccontextmanager
    async def reserve(
        self,
        what: str,
        user_id: UUID | None,
        tallies: Sequence[Tally],
        known: Sequence[Tally] = (),
        taken: frozenset[bytes] = frozenset(),
    ) -> AsyncIterator[Attempt]:
        """Reserve for the length of the block: `InvalidCredentials` makes it a failure, whatever else takes it back.

        By success the network becomes known to the tally of known ones, and to those of `known`. What is `taken` was
        reserved before.

        Raises:
            TooManyAttempts: one of the tallies is closed.
            HashingOverloaded: other attempts were not decided for too long.
        """
        deadline = asyncio.get_running_loop().time() + self._patience
        async with nullcontext() if taken else self._turns.at_tally(tallies[0], deadline):
            taken = taken or await self._enter(what, tallies, deadline)
            remembered = [*(tally for tally in tallies if tally.whom is Whom.KNOWN), *known]
            attempt = Attempt([tally for tally in tallies if tally.key in taken], remembered)
            try:
                yield attempt
            except InvalidCredentials:
                attempt.decided = True  # if it cannot be written now, it counts when its reservation ends
                attempt.closed = await self._fail(attempt.tallies)
                await self._record_blocks(what, user_id, attempt.closed)
                raise
            finally:
                if not attempt.decided:
                    self._take_back(attempt)

    async def find(
        self, what: str, lookup: Lookup[Found], tallies: Sequence[Tally], known: Sequence[Tally], unknown: bytes
    ) -> tuple[Found | None, AbstractAsyncContextManager[Attempt]]:
        """Find an account, and return it with what `reserve()` does, which is done at once where it can be.

        The tallies are about the account, or about `unknown` if there is none. Whoever does not enter the block leaves
        nothing behind only if nothing was reserved; see `Lookup`.
        """
        found, user_id, whole, taken = await self._find(lookup, tallies, unknown)
        return found, self.reserve(what, user_id, whole, known, taken)

    @retried
    async def _find(
        self, lookup: Lookup[Any], tallies: Sequence[Tally], unknown: bytes
    ) -> tuple[Any, UUID | None, Sequence[Tally], frozenset[bytes]]:
        async with self.statement() as tx:
            return await tx.throttles.find_and_reserve(lookup, tallies, self._reserved_for, unknown)

    @asynccontextmanager
    async def refusals(
        self, what: str, user_id: UUID | None, tallies: Sequence[Tally], known: Sequence[Tally] = ()
    ) -> AsyncIterator[Attempt]:
        """Count what the block refuses by `InvalidCredentials`, and nothing before: what nobody guesses can be looked
        at however many others were refused. By success the network becomes known to the tallies of `known`.

        Raises:
            TooManyAttempts: in place of the refusal, where too many were refused before.
        """
        attempt = Attempt(known=known)
        try:
            yield attempt
        except InvalidCredentials:
            attempt.closed = await self._spend(what, tallies)
            await self._record_blocks(what, user_id, attempt.closed)
            raise

    async def spend(self, what: str, *tallies: Tally) -> None:
        """Count an attempt whatever comes of it; raises `TooManyAttempts`."""
        await self._record_blocks(what, None, await self._spend(what, tallies))

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Transaction]:
        """A `Database.statement()` about attempts. Few at a time: they wait for each other's rows, and the connections
        of the pool are there for others too.
        """
        deadline = asyncio.get_running_loop().time() + self._patience
        async with self._turns.at_database(deadline), self._database.statement() as tx:
            yield tx

    async def close(self) -> None:
        """Wait for what is still being taken back."""
        await asyncio.gather(*self._releasing, return_exceptions=True)

    async def _enter(self, what: str, tallies: Sequence[Tally], deadline: float) -> frozenset[bytes]:
        """Reserve, or wait while nothing but undecided attempts stands in the way: they may all be right."""
        loop, pause = asyncio.get_running_loop(), PAUSE_FIRST
        while not (taken := await self._reserve(what, tallies)):
            if loop.time() + pause > deadline:
                raise HashingOverloaded
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret: it spreads the crowd
            pause = min(pause * 2, PAUSE_MOST)
        return taken

    @retried
    async def _reserve(self, what: str, tallies: Sequence[Tally]) -> frozenset[bytes]:
        async with self.statement() as tx:
            taken = await tx.throttles.reserve(tallies, self._reserved_for)
            blocks = [] if taken else await tx.throttles.blocks(tallies, self._reserved_for)
        if blocks:
            raise self._refusal(what, blocks)
        return taken

    @retried
    async def _spend(self, what: str, tallies: Sequence[Tally]) -> list[Block]:
        async with self.statement() as tx:
            closed = await tx.throttles.spend(tallies)
            blocks = await tx.throttles.blocks(tallies, self._reserved_for) if closed is None else []
            if closed is None and not blocks:  # it stood in the way of nobody any more
                closed = await tx.throttles.spend(tallies)
        if closed is None:
            raise self._refusal(what, blocks)
        return closed

    @retried
    async def _fail(self, tallies: Sequence[Tally]) -> list[Block]:
        async with self.statement() as tx:
            return await tx.throttles.fail(tallies)

    async def _record_blocks(self, what: str, user_id: UUID | None, closed: Sequence[Block]) -> None:
        """Write down once each tally that an attempt has closed, and not who is refused then.

        After the count and apart from it: what cannot be written down must not be counted again.
        """
        for block in closed:
            await self._audit.record(
                SecurityEvent.THROTTLE_BLOCKED,
                user_id,
                what=what,
                by=block.tally.allowance.by,
                failures=block.failures,
                seconds=round(block.length.total_seconds()),
            )

    def _refusal(self, what: str, blocks: Sequence[Block]) -> TooManyAttempts:
        self.refused[what] += 1
        return TooManyAttempts(max((block.length.total_seconds() for block in blocks), default=1))

    def _take_back(self, attempt: Attempt) -> None:
        """Not waited for: the answer is a failure of the machinery already, which may take as long again."""
        task = asyncio.create_task(self._release([tally.key for tally in attempt.tallies]))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _release(self, keys: Sequence[bytes]) -> None:
        with suppress(Refused):
            async with self.statement() as tx:
                await tx.throttles.release(keys)
