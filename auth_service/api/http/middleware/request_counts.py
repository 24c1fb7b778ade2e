"""Counts requests by route, method and status, and how long they took."""

from bisect import bisect_left
from collections.abc import Iterator

from auth_service.histogram import Histogram

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Seconds. A verification takes a tenth of a millisecond, a login some ten, and what waits for a time-out some thousand.
REQUEST_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Cell:
    """What one observation is counted in."""

    __slots__ = ("durations", "requests")

    def __init__(self, durations: Histogram) -> None:
        self.requests = 0
        self.durations = durations


class RequestCounts:
    """No client can add a series: a path that is no route and a method that is not one of HTTP's usual are `other`."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str, int], _Cell] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def observe(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the path of the route as it was declared, or None if there is none."""
        cell = self._cells.get((route or OTHER, method, status)) or self._cell(route or OTHER, method, status)
        cell.requests += 1
        durations = cell.durations  # counted here, and not by a call: a verification takes a few microseconds
        durations.buckets[bisect_left(durations.bounds, seconds)] += 1
        durations.sum += seconds

    def _cell(self, route: str, method: str, status: int) -> _Cell:
        method = method if method in METHODS else OTHER
        if (route, method, status) not in self._cells:
            durations = self._durations.setdefault((route, method), Histogram(REQUEST_BOUNDS))
            self._cells[route, method, status] = _Cell(durations)
        return self._cells[route, method, status]

    def requests(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        """Each route, method and status that was seen, and how often."""
        for (route, method, status), cell in self._cells.items():
            yield (route, method, str(status)), cell.requests

    def durations(self) -> Iterator[tuple[tuple[str, str], Histogram]]:
        """Each route and method that was seen, and how long these requests took."""
        yield from self._durations.items()
