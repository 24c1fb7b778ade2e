"""What one run of the comparison found, and the arithmetic on it. Nothing in here measures."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from bench.generator import Stretch


@dataclass(frozen=True)
class Setting:
    """How many processes serve, and how many connections ask."""

    workers: int
    connections: int

    def __str__(self) -> str:
        plural = "s" if self.workers > 1 else ""
        many = "s" if self.connections > 1 else ""
        return f"{self.workers} worker{plural}, {self.connections} connection{many}"


Asked = tuple[str, str]  # an operation, and who was asked
HEADLINE = Setting(1, 16)  # of the ratios
SETTINGS = (Setting(1, 1), HEADLINE, Setting(2, 16))


@dataclass(frozen=True)
class Series:
    """One operation of one contestant in one setting: a stretch for each round."""

    operation: str
    name: str
    setting: Setting
    stretches: list[Stretch] = field(default_factory=list)

    def median(self, figure: Callable[[Stretch], float]) -> float:
        """The median of a figure over the rounds."""
        return statistics.median(figure(stretch) for stretch in self.stretches)

    def figures(self) -> dict[str, float]:
        """Requests per CPU-second and per second, and milliseconds; medians over the rounds."""
        return {name: self.median(attrgetter(name)) for name in ("per_cpu_second", "per_second", "p50", "p95", "p99")}


@dataclass
class Results:
    """The series of one run."""

    series: list[Series] = field(default_factory=list)

    def add(self, operation: str, name: str, setting: Setting, stretch: Stretch) -> None:
        """Put a stretch to its series; rounds come in order."""
        found = self.find(operation, name, setting)
        if not found:
            found = Series(operation, name, setting)
            self.series.append(found)
        found.stretches.append(stretch)

    def find(self, operation: str, name: str, setting: Setting = HEADLINE) -> Series | None:
        wanted = (operation, name, setting)
        return next((one for one in self.series if (one.operation, one.name, one.setting) == wanted), None)

    def ratio(self, one: Asked, other: Asked) -> float | None:
        """Requests per CPU-second beside somebody else's: the median of each round's own ratio. None without both."""
        first, second = self.find(*one), self.find(*other)
        if not first or not second:
            return None
        rates = zip(first.stretches, second.stretches, strict=True)
        return statistics.median(mine.per_cpu_second / theirs.per_cpu_second for mine, theirs in rates)

    def figures(self, pairs: Iterable[tuple[Asked, Asked]]) -> dict[str, Any]:
        """What is kept of the run: the medians of each series, and the ratios of those pairs that were measured."""
        found: dict[str, Any] = {}
        for one in self.series:
            found.setdefault(str(one.setting), {}).setdefault(one.operation, {})[one.name] = one.figures()
        ratios = {beside(*pair): ratio for pair in pairs if (ratio := self.ratio(*pair)) is not None}
        return {"ratios": ratios, "series": found}


def beside(one: Asked, other: Asked) -> str:
    """The name of a ratio."""
    return f"{one[1]}, {one[0]} / {other[1]}, {other[0]}"
