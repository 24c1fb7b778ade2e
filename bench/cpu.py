"""What processes have used so far: CPU time, and memory."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU seconds so far of these processes and their descendants, also of those that ended and were waited for."""
    return sum(sum(times) for times in _times(roots))


def worker_pss(root: int) -> float:
    """The proportional set size, in MiB, of the largest process that serves: one without children, or the only one."""
    tree = list(_tree(root))
    leaves = [process for process in tree if not process.children()]
    return max(float(process.memory_full_info().pss) for process in leaves) / 2**20


def anonymous_memory(process: int) -> float:
    """The memory, in MiB, that is of no file: what grows if anything does, whoever else has the same files mapped."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 2**10


def _times(roots: Iterable[int]) -> Iterator[tuple[float, ...]]:
    for root in roots:
        for process in _tree(root):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                yield times.user, times.system, times.children_user, times.children_system


def _tree(root: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)
