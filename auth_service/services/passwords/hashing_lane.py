"""A lane of its own for password hashing, so that a flood of logins delays logins and nothing else."""

import asyncio
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn, TypeVar

from auth_service.errors import HashingOverloaded
from auth_service.histogram import Histogram
from auth_service.settings import HashingSettings
from auth_service.tracing import span

Result = TypeVar("Result")

REMEMBERED = 16  # hashes, of which the longest is left out of the mean: it may have stood still with the machine
POLITENESS = 10  # added to the niceness of the threads: the event loop comes first
LONGEST_RETRY_AFTER = 60  # seconds
LANE_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds

# Waits until the client has gone, and raises what ends the request.
ClientDisconnected = Callable[[], Coroutine[Any, Any, NoReturn]]
client_disconnect: ContextVar[ClientDisconnected | None] = ContextVar("client_disconnect", default=None)


class HashingLane:
    """Threads, and a queue before them that takes only requests that can be answered in time."""

    def __init__(self, settings: HashingSettings, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="hashing", initializer=_be_polite)
        self._slots = asyncio.Semaphore(threads)
        self._queue_limit = settings.queue
        self._deadline = settings.deadline.total_seconds()
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._duration = self._left_at = 0.0
        self.threads = threads
        self.waiting = 0
        self.shed = 0
        self.waits = Histogram(LANE_BOUNDS)
        self.hashes = Histogram(LANE_BOUNDS)

    def ensure_room(self) -> None:
        """Return if a hash that came now would be done within the deadline, as far as can be told.

        A free thread always means room: an estimate, however wrong, cannot keep out those who would mend it.

        Raises:
            HashingOverloaded: not in time, or too many wait already.
        """
        done_in = (self.waiting + 1) * self._duration / self.threads + self._duration
        if self._slots.locked() and (self.waiting >= self._queue_limit or done_in > self._deadline):
            raise self._overloaded()

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` in a thread of the lane and return what it returns.

        Raises:
            HashingOverloaded: at once if there is no room, or at the deadline if the estimate was too good.
        """
        loop = asyncio.get_running_loop()
        hashed: asyncio.Future[Result] = loop.create_future()

        def timed() -> None:
            """Tell the loop end and result at once: whenever it wakes up, hashes have emptied its caches."""
            started, failure = time.perf_counter(), None
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # the caller's, like the result
                result, failure = None, error
            # also when the caller has gone away: the slot is free when the thread is
            loop.call_soon_threadsafe(self._leave, since, time.perf_counter() - started, hashed, result, failure)

        with span("hash") as hashing:
            self.ensure_room()
            asked = loop.time()
            since = await self._take_slot()
            hashing.set("auth.hashing.wait", loop.time() - asked)
            self._executor.submit(timed)
            return await hashed

    async def _take_slot(self) -> float:
        """Return since when the slot is ours: after a wait, since the one before left it."""
        waited = self._slots.locked()
        came = asyncio.get_running_loop().time()
        self.waiting += 1
        try:
            async with self._patience():
                await self._slots.acquire()
        finally:
            self.waiting -= 1
        begins = asyncio.get_running_loop().time()
        self.waits.observe(begins - came)
        return self._left_at if waited else begins

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """End the block at the deadline, or when the client has gone."""
        gone = client_disconnect.get() if self._slots.locked() else None
        watch = asyncio.create_task(gone()) if gone else None
        try:
            async with asyncio.timeout(self._deadline) as limit:
                if watch:
                    watch.add_done_callback(partial(_cut_short, limit))
                yield
        except TimeoutError:
            if watch and watch.done():
                watch.result()
            raise self._overloaded() from None
        finally:
            if watch:
                watch.cancel()

    def _leave(
        self,
        since: float,
        seconds: float,
        hashed: "asyncio.Future[Any]",
        result: object,
        failure: BaseException | None,
    ) -> None:
        """Count a hash, with its seconds in the thread; what others wait for is how long it had the slot."""
        self.hashes.observe(seconds)
        self._left_at = asyncio.get_running_loop().time()
        self._recent.append(self._left_at - since)
        counted = sorted(self._recent)[: max(1, len(self._recent) - 1)]
        self._duration = sum(counted) / len(counted)
        self._slots.release()
        if hashed.done():  # its caller has gone
            return
        if failure is not None:
            hashed.set_exception(failure)
        else:
            hashed.set_result(result)

    def _overloaded(self) -> HashingOverloaded:
        """Say to come again when the work that waits now is done."""
        self.shed += 1
        seconds = math.ceil(self.waiting * self._duration / self.threads)
        return HashingOverloaded(retry_after=min(max(1, seconds), LONGEST_RETRY_AFTER))

    def close(self) -> None:
        """Let the threads end; what still waits is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _cut_short(wait: asyncio.Timeout, departed: "asyncio.Task[NoReturn]") -> None:
    """End a wait when its caller has gone; if it is already over, the caller does not matter."""
    if not departed.cancelled() and departed.exception():
        with suppress(RuntimeError):
            wait.reschedule(0)


def _be_polite() -> None:
    """Lower this thread's priority, where threads have one each; a process may always do that to itself."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + POLITENESS)
