"""PoolQueue at the pool: whoever has one finds a connection there, or makes one."""

import asyncio
from collections import deque

from auth_service.errors import DatabaseUnavailable

# Seconds to wait for a connection that is kept before one is opened for a peak: that costs as much as many statements.
SOON = 0.02


class PoolQueue:
    """As many as connections that are `kept`, and some `more` at a peak; the others wait, first come, first served.

    No semaphore of asyncio's, in whose queue whoever asks for more after a moment loses their place.
    """

    def __init__(self, *, kept: int, more: int = 0, patience: float | None = None) -> None:
        self._free = kept
        self._more = more
        self._peak = 0  # of `more` those that are taken
        self._patience = patience
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.time_outs = 0

    async def take(self) -> None:
        """Take a place, to be released; raises `DatabaseUnavailable` if there is none for the patience, in seconds."""
        if self._free:  # then nobody waits
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        soon = loop.call_later(SOON, self._open_more, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # it came at the same moment
                self.release()
            raise
        finally:
            soon.cancel()

    def release(self) -> None:
        """Give a place back, or to whoever has waited longest. A peak ends first: under load it would never end."""
        if self._peak:
            self._peak -= 1
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _open_more(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            return
        if self._peak < self._more:
            self._peak += 1
            turn.set_result(None)
        elif self._patience is not None:
            turn.get_loop().call_later(self._patience, self._refuse, turn)

    def _refuse(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self.time_outs += 1
            turn.set_exception(DatabaseUnavailable())
