"""What one run of the comparison found, and the arithmetic on it. Nothing in here measures."""

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

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

    @property
    def per_cpu_second(self) -> float:
        return self.median(lambda stretch: stretch.per_cpu_second)


@dataclass(frozen=True)
class Starts:
    """Of one contestant: seconds to the first answer, and MiB of a worker that idles, before and after load."""

    seconds: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)


@dataclass
class Results:
    """One run: where and of what, the series, the starts, and who could not take part and why."""

    machine: dict[str, str]
    series: list[Series] = field(default_factory=list)
    starts: dict[str, Starts] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

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

    def ratio(self, operation: str, name: str, beside: str, setting: Setting = HEADLINE) -> float | None:
        """Requests per CPU-second beside somebody else's: the median of each round's own ratio. None without both."""
        first, second = self.find(operation, name, setting), self.find(operation, beside, setting)
        return ratio_of(first, second) if first and second else None

    def starts_ratio(self, name: str, beside: str) -> float | None:
        """Seconds to the first answer beside somebody else's, in the same way."""
        if name not in self.starts or beside not in self.starts:
            return None
        return _median_ratio(self.starts[name].seconds, self.starts[beside].seconds)

    def write(self, path: Path) -> None:
        """Keep everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` has kept."""
        kept = json.loads(path.read_text())
        series = [
            Series(
                one["operation"],
                one["name"],
                Setting(**one["setting"]),
                [Stretch(**stretch) for stretch in one["stretches"]],
            )
            for one in kept["series"]
        ]
        starts = {name: Starts(**found) for name, found in kept["starts"].items()}
        return cls(kept["machine"], series, starts, kept["skipped"])


def ratio_of(first: Series, second: Series) -> float:
    """The median over the rounds of the ratios of requests per CPU-second."""
    return _median_ratio(
        [stretch.per_cpu_second for stretch in first.stretches],
        [stretch.per_cpu_second for stretch in second.stretches],
    )


def _median_ratio(first: Iterable[float], second: Iterable[float]) -> float:
    return statistics.median(one / other for one, other in zip(first, second, strict=True))
