"""The queue at the pool: who holds a place finds a connection there, or makes one."""

import asyncio
from types import TracebackType

from auth_service.errors import DatabaseUnavailable

# Seconds to wait for a connection that is kept before one is opened for a peak: that costs as much as many statements.
SOON = 0.02


class PoolQueue:
    """As many places as connections that are `kept`, and some `more` at a peak; first come, first served.

    A place is held for a block, which raises `DatabaseUnavailable` if there is none within the patience, in seconds.
    """

    def __init__(self, *, kept: int, more: int = 0, patience: float | None = None) -> None:
        self._places = asyncio.Semaphore(kept)
        self._more = more
        self._peak = 0  # of `more` those that are taken
        self._patience = patience
        self._soon = SOON if patience is None else min(SOON, patience / 2)
        self.time_outs = 0
        self.waiting = 0

    async def __aenter__(self) -> None:
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()  # at once

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(None) as end:
                opening = asyncio.get_running_loop().call_later(self._soon, self._open_more, end)
                try:
                    await self._places.acquire()
                finally:
                    opening.cancel()
        except TimeoutError:
            self.time_outs += 1
            raise DatabaseUnavailable from None
        finally:
            self.waiting -= 1

    def _open_more(self, end: asyncio.Timeout) -> None:
        """Let in whoever has waited longest, which is at least as long; most waits end sooner and need no other end."""
        if self._peak < self._more:
            self._peak += 1
            self._places.release()
        if self._patience is not None:
            end.reschedule(asyncio.get_running_loop().time() + self._patience - self._soon)

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give the place back. A peak ends first: under load it would never end."""
        if self._peak:
            self._peak -= 1
        else:
            self._places.release()
