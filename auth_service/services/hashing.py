"""A lane of its own for password hashing, so that a flood of logins delays logins and nothing else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from auth_service.errors import HashingOverloaded
from auth_service.settings import HashingSettings

Result = TypeVar("Result")


class HashingLane:
    """As many threads as cores, a bounded queue before them, and a deadline for whoever stands in it."""

    def __init__(self, settings: HashingSettings) -> None:
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="hashing")
        self._slots = asyncio.Semaphore(settings.threads)
        self._queue_limit = settings.queue
        self._deadline = settings.deadline.total_seconds()
        self._waiting = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` in a thread of the lane and return what it returns.

        Raises:
            HashingOverloaded: at once if the queue is full, or after the deadline if no thread became free.
        """
        await self._take_slot()
        loop = asyncio.get_running_loop()

        def leave(_: "Future[Result]") -> None:
            # Not when the caller goes away: the slot is free when the thread is.
            loop.call_soon_threadsafe(self._slots.release)

        job = self._threads.submit(work)
        job.add_done_callback(leave)
        return await asyncio.shield(asyncio.wrap_future(job))

    async def _take_slot(self) -> None:
        if self._slots.locked() and self._waiting >= self._queue_limit:
            raise HashingOverloaded
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise HashingOverloaded from None
        finally:
            self._waiting -= 1

    @property
    def waiting(self) -> int:
        return self._waiting

    def close(self) -> None:
        """Let the threads end; what still waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)
