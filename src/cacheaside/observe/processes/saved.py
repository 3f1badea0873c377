"""Snapshots as files: what is in them, and how they are added up. JSON, so that they can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeGuard

import msgspec

from cacheaside.observe.catalog import PROCESSES, SNAPSHOT_AGE
from cacheaside.observe.metrics import Across, Kind, Metric, Sample
from cacheaside.observe.stats import Distribution

__all__ = ["FORMAT", "SERIES_MAX", "Ended", "Saved", "Sum", "saved"]

FORMAT: Final = 1
SERIES_MAX: Final = 50_000
"""As many series, of names that ever were in use in a folder, are added up; of others, what ended processes counted is
left out."""

_Series = tuple[str, tuple[str, ...]]


class _Counted(msgspec.Struct, frozen=True):
    name: str
    labels: tuple[str, ...]
    value: int


class _Timed(msgspec.Struct, frozen=True):
    name: str
    labels: tuple[str, ...]
    sum_us: int
    buckets_us: tuple[tuple[int, int], ...]


class _Gauged(msgspec.Struct, frozen=True):
    name: str
    labels: tuple[str, ...]
    value: float


class Saved(msgspec.Struct, frozen=True):
    """A process's snapshot. at_s: when it was taken, by the machine's monotonic clock."""

    format: int
    at_s: float
    counters: tuple[_Counted, ...]
    histograms: tuple[_Timed, ...]
    gauges: tuple[_Gauged, ...]


class Ended(msgspec.Struct, frozen=True):
    """What processes that ended have counted. number: of this version of the file; the next one has the next.
    folded: those whose files may still lie there, though they are counted in here."""

    format: int = FORMAT
    number: int = 0
    folded: tuple[str, ...] = ()
    counters: tuple[_Counted, ...] = ()
    histograms: tuple[_Timed, ...] = ()


def saved(samples: Iterable[Sample], at_s: float) -> Saved:
    """Samples as they are written."""
    counters, histograms, gauges = [], [], []
    for metric, labels, value in samples:
        if isinstance(value, Distribution):
            histograms.append(_Timed(metric.name, labels, value.sum_us, value.buckets_us))
        elif metric.kind is Kind.COUNTER:
            counters.append(_Counted(metric.name, labels, int(value)))
        else:
            gauges.append(_Gauged(metric.name, labels, float(value)))
    return Saved(FORMAT, at_s, tuple(counters), tuple(histograms), tuple(gauges))


class Sum:
    """Snapshots added up. Metrics that this version does not know are added up too, and not shown: processes of another
    version, before or after this one in a deployment, may know them."""

    def __init__(self, ended: Ended) -> None:
        self._counters: dict[_Series, int] = {}
        self._histograms: dict[_Series, tuple[int, dict[int, int]]] = {}
        self._gauges: dict[_Series, list[float]] = {}
        self.left_out = 0
        """Series that were one too many."""
        self._add(ended)

    def add(self, one: Saved, *, alive: bool, now_s: float = 0.0) -> None:
        """One more process. How things stood in one that is not alive is nothing to anybody."""
        self._add(one)
        if alive:
            for gauged in one.gauges:
                self._gauges.setdefault((gauged.name, gauged.labels), []).append(gauged.value)
                if gauged.name == PROCESSES.name:
                    age = SNAPSHOT_AGE.name, gauged.labels
                    self._gauges.setdefault(age, []).append(max(0.0, now_s - one.at_s))

    def _add(self, one: Saved | Ended) -> None:
        for counted in one.counters:
            series = counted.name, counted.labels
            if series in self._counters or self._has_room():
                self._counters[series] = self._counters.get(series, 0) + counted.value
        for timed in one.histograms:
            series = timed.name, timed.labels
            if series in self._histograms or self._has_room():
                sum_us, buckets = self._histograms.get(series, (0, {}))
                for edge_us, number in timed.buckets_us:
                    buckets[edge_us] = buckets.get(edge_us, 0) + number
                self._histograms[series] = sum_us + timed.sum_us, buckets

    def _has_room(self) -> bool:
        full = len(self._counters) + len(self._histograms) >= SERIES_MAX
        self.left_out += full
        return not full

    def as_ended(self, number: int, folded: Iterable[str]) -> Ended:
        """The counters and histograms, without the gauges."""
        return Ended(
            FORMAT,
            number,
            tuple(folded),
            tuple([_Counted(name, labels, value) for (name, labels), value in self._counters.items()]),
            tuple(
                [
                    _Timed(name, labels, sum_us, tuple(sorted(buckets.items())))
                    for (name, labels), (sum_us, buckets) in self._histograms.items()
                ]
            ),
        )

    def samples(self, metrics: Mapping[str, Metric]) -> Iterator[Sample]:
        """What is known of `metrics`."""
        for (name, labels), value in self._counters.items():
            if _fits(metric := metrics.get(name), Kind.COUNTER, labels):
                yield Sample(metric, labels, value)
        for (name, labels), (sum_us, buckets) in self._histograms.items():
            if _fits(metric := metrics.get(name), Kind.HISTOGRAM, labels):
                found = tuple(sorted(buckets.items()))
                yield Sample(metric, labels, Distribution(sum(n for _, n in found), sum_us, found))
        for (name, labels), values in self._gauges.items():
            if _fits(metric := metrics.get(name), Kind.GAUGE, labels):
                yield Sample(metric, labels, _OVER[metric.across](values))


_OVER: Final[Mapping[Across, Callable[[list[float]], float]]] = {
    Across.SUM: sum,
    Across.MOST: max,
    Across.LEAST: min,
}


def _fits(metric: Metric | None, kind: Kind, labels: tuple[str, ...]) -> TypeGuard[Metric]:
    """Whether another version meant the same by the name."""
    return metric is not None and metric.kind is kind and len(metric.labels) == len(labels)
