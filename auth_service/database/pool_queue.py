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
        self.time_outs = 0
        self.waiting = 0

    async def __aenter__(self) -> None:
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()  # at once

    async def _wait(self) -> None:
        soon = SOON if self._patience is None else min(SOON, self._patience / 2)
        opening = asyncio.get_running_loop().call_later(soon, self._open_more)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            self.time_outs += 1
            raise DatabaseUnavailable from None
        finally:
            self.waiting -= 1
            opening.cancel()

    def _open_more(self) -> None:
        """Let in whoever has waited longest, which is at least as long."""
        if self._peak < self._more:
            self._peak += 1
            self._places.release()

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give the place back. A peak ends first: under load it would never end."""
        if self._peak:
            self._peak -= 1
        else:
            self._places.release()
