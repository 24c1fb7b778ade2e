"""The metrics of all workers in the text format of Prometheus. Imported for the first scrape (LATER in `main.py`)."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from auth_service.api.metrics.families import FAMILIES, Family, Kind, Merge
from auth_service.api.metrics.merging import Series, Worker, merge


class Merged(Collector):
    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES.values():
            merged = merge(family, self._workers)
            if merged:
                yield _metric(family, merged)


def exposition(workers: Sequence[Worker]) -> bytes:
    """Return what these workers have told as one text."""
    return generate_latest(Merged(workers))


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
