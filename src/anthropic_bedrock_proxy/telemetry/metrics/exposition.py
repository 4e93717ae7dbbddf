"""The text that Prometheus reads, made of all workers' facts. Imported at the first scrape.

The formats are those of `prometheus_client`: its text format, or OpenMetrics if it is asked for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from ... import __version__
from .board import Board, Series
from .compat import COMPAT
from .facts import MODEL, Buckets, FactKind
from .families import FAMILIES, Family

_MERGES: Final[dict[str, Callable[[Iterable[float]], float]]] = {"sum": sum, "max": max, "min": min}
LabelValues = tuple[str, ...]


class Exposition:
    """Renders what the board holds."""

    def __init__(
        self, board: Board, *, compat: Sequence[str] = (), with_keys: bool = False
    ) -> None:
        """`compat` are names of groups in compat.py."""
        chosen = [*FAMILIES, *(family for name in compat for family in COMPAT[name])]
        self._families = chosen if with_keys else [_without_key(family) for family in chosen]
        self._board = board
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Returns the text and its content type, as an `accept` header asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yields every metric as it is now."""
        facts: dict[str, list[Series]] = {}
        for series in self._board.read():
            facts.setdefault(series.kind.name, []).append(series)
        for family in self._families:
            yield _metric(family, facts.get(family.kind.name, ()))
        yield InfoMetricFamily(
            "build",
            "Version of the proxy and of Python.",
            {"version": __version__, "python": sys.version.partition(" ")[0]},
        )
        yield from _processes(self._board.processes())


def _without_key(family: Family) -> Family:
    labels = {name: label for name, label in family.labels.items() if label != "key"}
    return msgspec.structs.replace(family, labels=labels)


def _metric(family: Family, facts: Iterable[Series]) -> Metric:
    """Makes a metric of the facts of its kind."""
    names = [*family.labels, *family.fixed, *([family.split] if family.split else ())]
    made: Metric = _MAKERS[family.type](family.name, family.help, labels=names)
    for labels, rows in _grouped(family, facts).items():
        for value, numbers in family.numbers.items():
            full = [*labels, *family.fixed.values(), *([value] if family.split else ())]
            _add(made, family, full, rows, numbers)
    return made


def _grouped(
    family: Family, facts: Iterable[Series]
) -> Mapping[LabelValues, list[tuple[float, ...]]]:
    """Groups the rows that have the same labels in a family."""
    groups: dict[LabelValues, list[tuple[float, ...]]] = {}
    for series in facts:
        known = dict(zip(series.kind.labels, series.labels, strict=True))
        if all(known[name] == text for name, text in family.where.items()):
            labels = tuple(known[name] for name in family.labels.values())
            groups.setdefault(labels, []).append(series.numbers)
    return groups


def _add(
    made: Any,
    family: Family,
    labels: Sequence[str],
    rows: Sequence[tuple[float, ...]],
    numbers: Sequence[str],
) -> None:
    buckets = family.kind.numbers[numbers[0]]
    if family.type == "histogram" and buckets is not None:
        counts, total = _summed(family.kind, rows, numbers[0], buckets)
        made.add_metric(labels, buckets=_cumulative(buckets, counts), sum_value=total)
        return
    if buckets is not None:  # a counter that is read off a histogram
        value = float(sum(_summed(family.kind, rows, numbers[0], buckets)[0]))
    else:
        places = [family.kind.place(number) for number in numbers]
        merge = _MERGES[family.merge]
        value = merge(sum(row[place] for place in places) for row in rows) / family.per
    if family.type == "summary":
        durations = MODEL.numbers["duration"] or ()
        count = sum(_summed(MODEL, rows, "duration", durations)[0])
        made.add_metric(labels, count_value=count, sum_value=value)
    else:
        made.add_metric(labels, value)


def _summed(
    kind: FactKind, rows: Sequence[tuple[float, ...]], number: str, buckets: Buckets
) -> tuple[list[float], float]:
    """Adds up histograms; returns the counts of the buckets, and the sum of the values."""
    place, beyond = kind.place(number), len(buckets) + 1
    counts = [sum(row[place + index] for row in rows) for index in range(beyond)]
    return counts, sum(row[place + beyond] for row in rows)


def _cumulative(buckets: Buckets, counts: Sequence[float]) -> list[tuple[str, float]]:
    total, cumulative = 0.0, []
    for bound, count in zip((*buckets, math.inf), counts, strict=True):
        total += count
        cumulative.append(("+Inf" if bound == math.inf else repr(bound), total))
    return cumulative


def _processes(ids: Mapping[int, int]) -> Iterator[Metric]:
    """Yields the metrics of each worker's process, as `prometheus_client` has them for its own.

    A worker is called by the number of its slab, which the successor of one that crashed takes.
    """
    merged: dict[str, Metric] = {}
    for slab, process in ids.items():
        # It reads `/proc` of any process.
        collector = ProcessCollector(pid=partial(int, process), registry=None)
        for metric in collector.collect():
            known = merged.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                labels = {**sample.labels, "worker": str(slab)}
                known.add_sample(sample.name, labels, sample.value)
    yield from merged.values()


_MAKERS: Final[dict[str, Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}
