"""A histogram of durations, as Prometheus has them, that costs next to nothing to count in."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """How many durations fell into each bucket, and their sum, in seconds.

    `bounds` are the upper ends of the buckets, inclusive and rising; one more bucket has no end.
    """

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        return sum(self.buckets)

    @property
    def numbers(self) -> list[float]:
        """The count of each bucket, and at the end the sum: two of them are added number by number."""
        return [*self.buckets, self.sum]
