"""Usernames that a service of before 0015 has written: what they look like, found out batch by batch."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried

log = structlog.get_logger()

BATCH = 1000
BATCH_BUDGET = timedelta(seconds=30)
REST = 0.4  # of the time that a batch has taken, for everybody else
TELL_EVERY = 10.0  # seconds


def log_filled(accounts: int) -> None:
    log.info("usernames.filling_skeletons", accounts=accounts)


class Usernames:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def fill_skeletons(self, tell: Callable[[int], None] = log_filled) -> int:
        """Do all that there are, and return how many. Several processes at once share the work.

        `tell` is called after the first batch, unless it is the last one, and every ten seconds.

        Raises:
            DatabaseUnavailable: the batches before stay.
        """
        async with self._database.statement() as tx:
            batch = BATCH if await tx.skeletons.lacks_any() else 0
        filled, told_at = 0, float("-inf")
        while batch == BATCH:
            begun = time.monotonic()
            batch = await self._fill_batch()
            filled += batch
            if batch == BATCH:
                if begun >= told_at + TELL_EVERY:
                    tell(filled)
                    told_at = begun
                await asyncio.sleep((time.monotonic() - begun) * REST)
        if filled:
            log.info("usernames.skeletons_filled", accounts=filled)
        return filled

    @retried
    async def _fill_batch(self) -> int:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            return await tx.skeletons.fill(BATCH)
