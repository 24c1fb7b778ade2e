"""What the machine, or the container on it, lets this process have."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class MachineLimits:
    """`cores`: those that the process may run on; `quota`: the cores' worth of time that it gets; `memory` in bytes."""

    cores: int
    quota: float | None
    memory: int | None


def read_limits(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> MachineLimits:
    """Read the limits of the process's control group (cgroup v2) and of those around it; the smallest holds."""
    groups = list(_groups(cgroups, membership))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return MachineLimits(cores, _smallest(groups, "cpu.max", _quota), _smallest(groups, "memory.max", int))


def _groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """The mounted root first: in a container that is the container's own group."""
    yield cgroups
    with suppress(OSError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/") and "/.." not in line:  # outside of what is mounted, nothing can be read
                inner = PurePosixPath(line[4:])
                yield from (cgroups / part for part in (*reversed(inner.parents), inner))


def _smallest(groups: list[Path], file: str, read: Callable[[str], Number]) -> Number | None:
    found = []
    for group in groups:
        with suppress(OSError, ValueError):  # no such file at the root of a machine; "max" where there is no limit
            found.append(read((group / file).read_text(encoding="ascii")))
    return min(found, default=None)


def _quota(text: str) -> float:
    """From microseconds of time, or "max", and the period in which they may be used."""
    time, period = text.split()
    return int(time) / int(period)
