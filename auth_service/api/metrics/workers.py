"""One scrape tells of all workers: each publishes its numbers every second, and whoever is asked adds them up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from auth_service.api.http.middleware.request_counts import RequestCounts
from auth_service.api.metrics import numbers
from auth_service.api.metrics.families import REPORTING, WORKERS
from auth_service.api.metrics.merging import Worker, surviving
from auth_service.services.services import Gauges
from auth_service.shared_memory import Slot

log = structlog.get_logger()

PUBLISH_EVERY = 1.0  # seconds
REPORTS_WITHIN = 3.0  # seconds; a worker that has published nothing for longer hangs, or is gone


class Metrics:
    """This worker's numbers and, where workers share memory, those of the others.

    What a worker has counted outlives it: whoever takes its slot goes on from there. A sum over workers that lost one
    part would look like a restart of all of them, and Prometheus would count everything once more.
    """

    def __init__(self, gauges: Gauges, requests: RequestCounts, slot: Slot | None) -> None:
        self._gauges = gauges
        self._requests = requests
        self._slot = slot
        self._index = slot.index if slot else 0
        before = [Worker(self._index, lives=False, numbers=json.loads(slot.found))] if slot and slot.found else []
        self._inherited = Worker(self._index, lives=False, numbers=surviving(before))

    @asynccontextmanager
    async def published(self) -> AsyncIterator[None]:
        """Publish every second for the length of the block, and once more at its end."""
        if self._slot is None:
            yield
            return
        self._publish(self._slot)
        following = asyncio.create_task(self._follow(self._slot))
        try:
            yield
        finally:
            following.cancel()
            self._publish(self._slot, has_ended=True)

    def text(self) -> bytes:
        """Return all numbers in the text format of Prometheus. Those of other workers may be a second old."""
        from auth_service.api.metrics.exposition import exposition  # noqa: PLC0415  # see there

        if self._slot is None:
            return exposition(self._about([Worker(0, lives=True, numbers=self._read())], workers=1))
        self._publish(self._slot)  # what is told now must not be forgotten if this worker dies
        now = time.monotonic()
        found = [
            Worker(index, lives=now - copy.written_at < REPORTS_WITHIN, numbers=json.loads(copy.content))
            for index, copy in self._slot.memory.read()
        ]
        return exposition(self._about(found, self._slot.memory.workers))

    async def _follow(self, slot: Slot) -> None:
        while True:
            await asyncio.sleep(PUBLISH_EVERY)
            try:
                self._publish(slot)
            except Exception:
                log.exception("metrics.not_published")  # whatever it was: to publish no more would be worse

    def _publish(self, slot: Slot, *, has_ended: bool = False) -> None:
        slot.write(json.dumps(self._read()).encode(), has_ended=has_ended)

    def _read(self) -> numbers.Numbers:
        """What this worker knows, and what others had counted in its slot before."""
        now = Worker(self._index, lives=True, numbers=numbers.read(self._gauges, self._requests))
        return now.numbers | surviving([self._inherited, now])

    def _about(self, found: list[Worker], workers: int) -> list[Worker]:
        reporting = sum(worker.lives for worker in found)
        about: numbers.Numbers = {WORKERS.name: [((), [workers])], REPORTING.name: [((), [reporting])]}
        return [*found, Worker(0, lives=True, numbers=about)]
