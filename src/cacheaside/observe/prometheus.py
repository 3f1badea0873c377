"""The numbers for Prometheus: a collector that takes a snapshot when it is scraped. The hit path pays nothing.

Needs the extra `prometheus`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError
from cacheaside.observe.catalog import METRICS, samples_of
from cacheaside.observe.metrics import Kind, Metric, Sample, shown_buckets
from cacheaside.observe.processes.exporting import Exporting
from cacheaside.observe.ratchet import Ratchet
from cacheaside.observe.seen import Seen
from cacheaside.observe.stats import Distribution

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )
except ImportError as error:
    raise ImportError(
        "cacheaside.observe.prometheus needs prometheus_client: pip install cacheaside[prometheus]"
    ) from error

__all__ = ["CacheCollector"]

_FOLDER: Final = "cacheaside"
"""Below the folder that prometheus_client's own files are in."""


class CacheCollector:
    """Caches as metric families. Make one in each process, at import, beside the caches, and register it:
    `REGISTRY.register(CacheCollector(cache))`.

    One process: every scrape takes a snapshot of it. Several behind one port: give a `directory` that they share, or
    set PROMETHEUS_MULTIPROC_DIR as for prometheus_client itself. Each process then writes its snapshot there `every`
    so often, and when it is scraped; whichever is scraped answers for them all, those that ended included. Counters
    never go back, whoever is killed, and however. Of a process that is killed, what it counted since it wrote last is
    lost.

    Thread-safe, and safe over fork. Where there is a directory a scrape reads files, and waits for no other process.
    """

    def __init__(
        self,
        *caches: Seen,
        directory: str | os.PathLike[str] | None = None,
        every: Duration = "2s",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        if not caches:
            raise DeclarationError("CacheCollector() has no cache to collect: write CacheCollector(cache).")
        self._names = [cache.namespace for cache in caches]
        if len(set(self._names)) < len(self._names):
            raise DeclarationError(
                f"CacheCollector: two caches have one namespace ({', '.join(self._names)}), so their series would be "
                "the same: give each its own."
            )
        self._caches = caches
        self._lock = threading.Lock()
        self._ratchet = Ratchet()
        every_s = seconds(every, name="every")
        if directory is None and environ.get("PROMETHEUS_MULTIPROC_DIR"):
            directory = Path(environ["PROMETHEUS_MULTIPROC_DIR"]) / _FOLDER
        self._exporting: Exporting | None = None
        if directory is not None:
            self._exporting = Exporting(Path(directory), self._samples, self._names, every_s=every_s)

    def describe(self) -> Iterator[Any]:
        """The families without samples: a registry refuses a second collector of the same names."""
        for metric in METRICS.values():
            yield _family(metric, ())
        yield _info(())

    def collect(self) -> Iterator[Any]:
        """The families, now."""
        if self._exporting is not None:
            return self._families(self._exporting.samples())
        with self._lock:
            return self._families(list(self._samples()))

    def close(self) -> None:
        """Write a last time, and be counted among the ended. Without a directory: nothing."""
        if self._exporting is not None:
            self._exporting.close()

    def _samples(self) -> Iterator[Sample]:
        for cache in self._caches:
            yield from self._ratchet.forward(samples_of(cache.stats()))

    def _families(self, samples: Iterable[Sample]) -> Iterator[Any]:
        by_metric: dict[str, list[Sample]] = {name: [] for name in METRICS}
        for sample in samples:
            by_metric[sample.metric.name].append(sample)
        yield _info(self._names)
        for name, found in by_metric.items():
            if found:
                yield _family(METRICS[name], found)


def _info(names: Iterable[str]) -> Any:
    info = InfoMetricFamily("cacheaside", "The version of the library.", labels=["cache"])
    for name in names:
        info.add_metric([name], {"version": _version()})
    return info


def _family(metric: Metric, samples: Iterable[Sample]) -> Any:
    kinds = {
        Kind.COUNTER: CounterMetricFamily,
        Kind.GAUGE: GaugeMetricFamily,
        Kind.HISTOGRAM: HistogramMetricFamily,
    }
    family = kinds[metric.kind](metric.prometheus_name, metric.help, labels=metric.labels)
    for _, labels, value in samples:
        if isinstance(value, Distribution):
            family.add_metric(labels, shown_buckets(metric, value), value.sum_us / 1e6)
        else:
            family.add_metric(labels, value)
    return family


def _version() -> str:
    return str(sys.modules["cacheaside"].__version__)  # not imported: the package stands above this floor
