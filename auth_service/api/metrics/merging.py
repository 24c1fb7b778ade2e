"""The numbers of several workers, added up."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add

from auth_service.api.metrics.families import FAMILIES, Family, Merge
from auth_service.api.metrics.numbers import Numbers

Series = dict[tuple[str, ...], Sequence[float]]

TOGETHER: Mapping[Merge, Callable[[float, float], float]] = {
    Merge.SUM: add,
    Merge.MOST: max,
    Merge.LEAST: min,
    Merge.EACH: max,  # there is only one
}


@dataclass(frozen=True)
class Worker:
    """What a worker has told of itself. Of one that has ended only what it had counted is of interest."""

    index: int
    lives: bool
    numbers: Numbers


def merge(family: Family, workers: Iterable[Worker]) -> Series:
    """The numbers of one metric, by the values of its labels."""
    merged: Series = {}
    together = TOGETHER[family.merge]
    for worker in workers:
        if not worker.lives and not family.survives:
            continue
        by_worker = (str(worker.index),) if family.merge is Merge.EACH else ()
        for labels, number in worker.numbers.get(family.name, ()):
            key = (*labels, *by_worker)
            merged[key] = [*map(together, merged[key], number)] if key in merged else number
    return merged


def surviving(workers: Iterable[Worker]) -> Numbers:
    """The numbers that these workers leave to others: what they counted."""
    workers = list(workers)
    families = [family for family in FAMILIES.values() if family.survives]
    return {family.name: list(merge(family, workers).items()) for family in families}
