"""Sees to it that what is exported never goes back.

Snapshots are taken without stopping anything, so a counter that is a difference of two may be one less than it was a
moment ago. A monitoring system takes a counter that goes back for a process that began anew, and adds all of it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cacheaside.observe.metrics import Kind, Sample
from cacheaside.observe.stats import Distribution

__all__ = ["Ratchet"]


class Ratchet:
    """Remembers the highest value of each series. As many series as there are: they are bounded where they are made.

    Not thread-safe: its owner has a lock.
    """

    def __init__(self) -> None:
        self._counters: dict[tuple[str, tuple[str, ...]], float] = {}
        self._histograms: dict[tuple[str, tuple[str, ...]], Distribution] = {}

    def forward(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples, none of a counter or histogram lower than it ever was."""
        for sample in samples:
            metric, labels, value = sample
            series = metric.name, labels
            if metric.kind is Kind.GAUGE:
                yield sample
            elif isinstance(value, Distribution):
                kept = self._histograms[series] = _highest(self._histograms.get(series), value)
                yield sample if kept is value else Sample(metric, labels, kept)
            else:
                before = self._counters.get(series, 0)
                if value >= before:
                    self._counters[series] = value
                    yield sample
                else:
                    yield Sample(metric, labels, before)


def _highest(before: Distribution | None, now: Distribution) -> Distribution:
    if before is None or before == now:
        return now
    buckets = dict(before.buckets_us)
    for edge_us, number in now.buckets_us:
        buckets[edge_us] = max(buckets.get(edge_us, 0), number)
    return Distribution(sum(buckets.values()), max(before.sum_us, now.sum_us), tuple(sorted(buckets.items())))
