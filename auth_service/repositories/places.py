"""Places at the pool: whoever has one finds a connection there, or makes one."""

import asyncio

from auth_service.errors import DatabaseUnavailable

# Seconds to wait for a connection that is kept before one is opened for a peak: that costs as much as many statements.
SOON = 0.02


class Places:
    """As many as connections that are `kept`, and some `more` at a peak; the others wait, first come, first served."""

    def __init__(self, *, kept: int, more: int = 0, patience: float | None = None) -> None:
        self._kept = asyncio.Semaphore(kept)
        self._more = asyncio.Semaphore(more)
        self._patience = patience
        self.time_outs = 0

    async def take(self) -> asyncio.Semaphore:
        """Return a place, to be released; raises `DatabaseUnavailable` if none is free for the patience."""
        if self._kept.locked():
            return await self._wait()
        await self._kept.acquire()
        return self._kept

    async def _wait(self) -> asyncio.Semaphore:
        if await _is_had(self._kept, SOON):
            return self._kept
        if not self._more.locked():
            await self._more.acquire()
            return self._more
        if await _is_had(self._kept, self._patience):
            return self._kept
        self.time_outs += 1
        raise DatabaseUnavailable


async def _is_had(place: asyncio.Semaphore, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await place.acquire()
    except TimeoutError:
        return False
    return True
