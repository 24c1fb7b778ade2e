"""The numbers of several workers as one answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from auth_service.api.metrics.families import FAMILIES, Family, Kind, Merge
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


class Merged(Collector):
    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES.values():
            merged = merge(family, self._workers)
            if merged:
                yield _metric(family, merged)


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


def _metric(family: Family, numbers: Series) -> Metric:
    labels = [*family.labels, *(["worker"] if family.merge is Merge.EACH else [])]
    if family.kind is Kind.HISTOGRAM:
        return _histogram(family, labels, numbers)
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=labels)
    for values, number in numbers.items():
        metric.add_metric(values, number[0])
    return metric


def _histogram(family: Family, labels: Sequence[str], numbers: Series) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=labels)
    ends = [*map(str, family.bounds), "+Inf"]
    for values, number in numbers.items():
        *counts, total = number
        metric.add_metric(values, buckets=list(zip(ends, accumulate(counts), strict=True)), sum_value=total)
    return metric
