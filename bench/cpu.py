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
    return max(float(process.memory_full_info().pss) for process in _workers(root)) / 2**20


def worker_anonymous(root: int) -> float:
    """The memory, in MiB, that is of no file, of the largest process that serves."""
    return max(memory(process.pid)["Pss_Anon"] for process in _workers(root))


def memory(root: int) -> dict[str, float]:
    """The proportional memory, in MiB, of a process and its descendants, as /proc has it.

    `Pss` is all of it, `Pss_Anon` what is of no file: what grows if anything does, whoever else has the same files
    mapped. `Pss_Shmem` is memory in common, such as PostgreSQL's shared buffers, which fill up.
    """
    found = dict.fromkeys(("Pss", "Pss_Anon", "Pss_Shmem"), 0.0)
    for process in _tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                name, _, size = line.partition(":")
                if name in found:
                    found[name] += float(size.split()[0]) / 2**10
    return found


def _times(roots: Iterable[int]) -> Iterator[tuple[float, ...]]:
    for root in roots:
        for process in _tree(root):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                yield times.user, times.system, times.children_user, times.children_system


def _workers(root: int) -> list[psutil.Process]:
    return [process for process in list(_tree(root)) if not process.children()]


def _tree(root: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)
