"""What is tried with a session after its acknowledged end, beside everything else that its owner does."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

from torture.calls import Calls
from torture.wire import Access, Call, Wire

FOR_SECONDS = 7.0  # beyond every bound that the checker knows
TIMES = 10


class Probes:
    """Each probe is one attempt: an outage that swallows it proves nothing, and there are many."""

    def __init__(self, wire: Wire, rng: Random) -> None:
        self._wire = wire
        self._rng = rng
        self._running: set[asyncio.Task[None]] = set()

    async def finish(self) -> None:
        await asyncio.gather(*self._running)

    def after_the_end(self, owner: Calls, session: str, token: str, access: Access) -> None:
        """Ask with both tokens at once, and again and again for a few seconds."""
        calls = Calls(owner.by.replace("owner", "probe"), owner.user)
        refresh, look = calls.refresh(session, token, None), calls.me(session, access)
        tries = [(0.0, refresh), (0.0, look), (0.0, calls.sessions(session, access)), (self._later(), refresh)]
        tries += [(self._later(), calls.sessions(session, access)) for _ in range(TIMES)]
        for delay, call in [*tries, (self._later(), look)]:
            self._start(self._try(delay, call))

    def old_password(self, owner: Calls, email: str, password: int) -> None:
        calls = Calls(owner.by.replace("owner", "probe"), owner.user)
        for delay in (0.0, self._later()):
            self._start(self._try(delay, calls.login(email, password)))

    def _later(self) -> float:
        return self._rng.uniform(0, FOR_SECONDS)

    async def _try(self, delay: float, call: Call) -> None:
        await asyncio.sleep(delay)
        await self._wire.once(call)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
