"""The numbers for OpenTelemetry: observable instruments, whose callbacks take a snapshot when they are collected. The
hit path pays nothing.

Needs the extra `opentelemetry`, which is the API alone; without an SDK nothing is ever collected.

OpenTelemetry has no histogram that is observed. One of ours is three counters: `….bucket`, cumulative, with the upper
edge in seconds as the attribute `le` ("+Inf" for all); `….count`; and `….sum`. They add up over processes and over time
as a histogram does, and a quantile is computed from them as from a Prometheus histogram.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cacheaside.errors import DeclarationError
from cacheaside.observe.catalog import METRICS, PROCESSES, SNAPSHOT_AGE, samples_of
from cacheaside.observe.metrics import Across, Kind, Metric, Sample, shown_buckets
from cacheaside.observe.ratchet import Ratchet
from cacheaside.observe.seen import Seen
from cacheaside.observe.stats import Distribution

try:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter
except ImportError as error:
    raise ImportError(
        "cacheaside.observe.opentelemetry needs opentelemetry-api: pip install cacheaside[opentelemetry]"
    ) from error

__all__ = ["instrument"]

SNAPSHOT_S: Final = 0.1
"""The callbacks of one collection share a snapshot: it is taken anew when it is older than this."""

Callback = Callable[[CallbackOptions], Iterable[Observation]]


def instrument(*caches: Seen, meter_provider: MeterProvider | None = None) -> None:
    """Have the numbers of `caches` collected by `meter_provider`, or by the global one. Call it once in each process,
    with all of its caches: a provider keeps the first instrument of a name.

    Each process exports its own numbers; tell them apart by the resource (`service.instance.id`). A cache that is
    dropped is observed no longer.
    """
    if not caches:
        raise DeclarationError("instrument() has no cache to observe: write instrument(cache).")
    names = [cache.namespace for cache in caches]
    if len(set(names)) < len(names):
        raise DeclarationError(
            f"instrument: two caches have one namespace ({', '.join(names)}), so their series would be the same: "
            "give each its own."
        )
    meter = get_meter("cacheaside", str(sys.modules["cacheaside"].__version__), meter_provider)
    looks = _Looks([weakref.ref(cache) for cache in caches])
    for metric in METRICS.values():
        if metric not in (PROCESSES, SNAPSHOT_AGE):  # of one process nobody needs to be told
            _observe(meter, metric, looks)


def _observe(meter: Meter, metric: Metric, looks: _Looks) -> None:
    name, unit, told = metric.name, metric.unit, metric.help
    if metric.kind is Kind.HISTOGRAM:
        meter.create_observable_counter(
            f"{name}.bucket",
            [looks.calling(metric, _bucket)],
            "{duration}",
            f"{told} At or below `le`, in seconds.",
        )
        meter.create_observable_counter(f"{name}.count", [looks.calling(metric, _count)], "{duration}", told)
        meter.create_observable_counter(f"{name}.sum", [looks.calling(metric, _sum)], unit, told)
    elif metric.kind is Kind.COUNTER:
        meter.create_observable_counter(name, [looks.calling(metric, _number)], unit, told)
    elif metric.across is Across.SUM:
        meter.create_observable_up_down_counter(name, [looks.calling(metric, _number)], unit, told)
    else:
        meter.create_observable_gauge(name, [looks.calling(metric, _number)], unit, told)


Said = Callable[[Sample, dict[str, str]], Iterator[Observation]]


class _Looks:
    """Thread-safe: readers collect on threads of their own."""

    def __init__(self, caches: Iterable[weakref.ref[Seen]]) -> None:
        self._caches = list(caches)
        self._lock = threading.Lock()
        self._ratchet = Ratchet()
        self._taken_at = float("-inf")
        self._taken: dict[str, list[Sample]] = {}

    def calling(self, metric: Metric, said: Said) -> Callback:
        """A callback that observes one metric."""

        def callback(_options: CallbackOptions) -> Iterator[Observation]:
            for sample in self._look().get(metric.name, ()):
                yield from said(sample, dict(zip(metric.labels, sample.labels, strict=True)))

        return callback

    def _look(self) -> dict[str, list[Sample]]:
        with self._lock:
            now = time.monotonic()
            if now - self._taken_at >= SNAPSHOT_S:
                taken: dict[str, list[Sample]] = {}
                for ref in self._caches:
                    cache = ref()
                    if cache is not None:
                        for sample in self._ratchet.forward(samples_of(cache.stats())):
                            taken.setdefault(sample.metric.name, []).append(sample)
                self._taken, self._taken_at = taken, now
            return self._taken


def _number(sample: Sample, attributes: dict[str, str]) -> Iterator[Observation]:
    assert not isinstance(sample.value, Distribution)
    yield Observation(sample.value, attributes)


def _bucket(sample: Sample, attributes: dict[str, str]) -> Iterator[Observation]:
    assert isinstance(sample.value, Distribution)
    for le, number in shown_buckets(sample.metric, sample.value):
        yield Observation(number, {**attributes, "le": le})


def _count(sample: Sample, attributes: dict[str, str]) -> Iterator[Observation]:
    assert isinstance(sample.value, Distribution)
    yield Observation(sample.value.count, attributes)


def _sum(sample: Sample, attributes: dict[str, str]) -> Iterator[Observation]:
    assert isinstance(sample.value, Distribution)
    yield Observation(sample.value.sum_us / 1e6, attributes)
