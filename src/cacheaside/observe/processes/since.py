"""What a process counted itself: without what it had from its parent when it was made by fork."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cacheaside.observe.metrics import Kind, Sample
from cacheaside.observe.stats import Distribution

__all__ = ["since"]


def since(before: Iterable[Sample], now: Iterable[Sample]) -> Iterator[Sample]:
    """Counters and histograms less what they were `before`; gauges as they are.

    A child goes on counting where its parent was, and the parent's numbers are in the parent's own snapshot.
    """
    was = {(metric.name, labels): value for metric, labels, value in before}
    for sample in now:
        earlier = was.get((sample.metric.name, sample.labels))
        if earlier is None or sample.metric.kind is Kind.GAUGE:
            yield sample
        elif isinstance(earlier, Distribution):
            assert isinstance(sample.value, Distribution)
            yield sample._replace(value=_less(sample.value, earlier))
        else:
            assert not isinstance(sample.value, Distribution)
            yield sample._replace(value=sample.value - earlier)


def _less(now: Distribution, earlier: Distribution) -> Distribution:
    buckets = dict(now.buckets_us)
    for edge_us, number in earlier.buckets_us:
        buckets[edge_us] -= number
    found = tuple((edge_us, number) for edge_us, number in sorted(buckets.items()) if number)
    return Distribution(now.count - earlier.count, now.sum_us - earlier.sum_us, found)
