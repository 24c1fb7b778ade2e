"""How many attempts of this process go on at once; the others wait for their turn, each until its deadline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from weakref import WeakValueDictionary

from auth_service.errors import DatabaseUnavailable, HashingOverloaded, Unavailable
from auth_service.models import Tally

STATEMENTS_AT_ONCE = 3


class Turns:
    """Deadlines are of the loop's clock."""

    def __init__(self) -> None:
        self._at_tallies: WeakValueDictionary[bytes, asyncio.Semaphore] = WeakValueDictionary()
        self._at_database = asyncio.Semaphore(STATEMENTS_AT_ONCE)

    def at_tally(self, tally: Tally, deadline: float) -> AbstractAsyncContextManager[None]:
        """Let no more in at once than could fail, so that a crowd waits here and does not keep asking the database.

        Raises `HashingOverloaded`.
        """
        places = self._at_tallies.setdefault(tally.key, asyncio.Semaphore(tally.allowance.failures))
        return _in_turn(places, deadline, HashingOverloaded)

    def at_database(self, deadline: float) -> AbstractAsyncContextManager[None]:
        """Let few statements in at once; raises `DatabaseUnavailable`."""
        return _in_turn(self._at_database, deadline, DatabaseUnavailable)


@asynccontextmanager
async def _in_turn(places: asyncio.Semaphore, deadline: float, too_late: type[Unavailable]) -> AsyncIterator[None]:
    """Hold one of the places; raises `too_late` if none became free until the deadline of the loop's clock."""
    try:
        async with asyncio.timeout_at(deadline) if places.locked() else nullcontext():
            await places.acquire()
    except TimeoutError:
        raise too_late from None
    try:
        yield
    finally:
        places.release()
