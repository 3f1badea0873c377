"""The four numbers and what they are made of, per endpoint: hit rate, miss rate, fill latency, database amplification.

A snapshot: plain integers, taken without stopping anything. No key and no value is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cacheaside.histogram import Histogram
from cacheaside.lookup import Forward, NotStored
from cacheaside.tally import Tally

__all__ = ["CacheStats", "EndpointStats", "Latency", "endpoint_stats"]


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of durations, in seconds; quantiles are upper edges of buckets."""

    count: int
    mean_s: float
    p50_s: float
    p99_s: float

    @classmethod
    def of(cls, histogram: Histogram) -> Latency:
        """The summary of `histogram`."""
        return cls(histogram.count, histogram.mean_s, histogram.quantile_s(0.5), histogram.quantile_s(0.99))


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint since the process began.

    hits: reads served from the cache without waiting, of which `grace` past their ttl and `outdated` after an
    invalidation. misses: reads that waited for the source, by reason; `collapsed` of them shared another's load.
    loads: asked of the source, refreshes included; `loads_repeated` were loads of a miss that had been loaded for
    before. not_stored: loads by the reason why their value was not kept.
    fill: from the beginning of a load to its landing. age_at_serve: of values served from the cache, sampled at most
    once a second per entry.
    """

    name: str
    entries: int
    hits: int
    grace: int
    outdated: int
    remembered_errors: int
    misses: Mapping[str, int]
    collapsed: int
    loads: int
    loads_failed: int
    loads_repeated: int
    refreshes: int
    refreshes_failed: int
    refreshes_dropped: int
    stored: int
    not_stored: Mapping[str, int]
    invalidations: int
    evicted: int
    fill: Latency
    age_at_serve: Latency

    @property
    def misses_total(self) -> int:
        """Reads that waited for the source."""
        return sum(self.misses.values())

    @property
    def reads(self) -> int:
        """All reads."""
        return self.hits + self.misses_total

    @property
    def hit_rate(self) -> float:
        """Hits per read, 0 to 1; 0 without reads."""
        return self.hits / self.reads if self.reads else 0.0

    @property
    def miss_rate(self) -> float:
        """Misses per read, 0 to 1; 0 without reads."""
        return self.misses_total / self.reads if self.reads else 0.0

    @property
    def loads_per_missed_key(self) -> float:
        """How often a missed key was loaded until its readers were answered; 1.0 is what single flight promises."""
        first = self.loads - self.loads_repeated
        return self.loads / first if first else 0.0

    @property
    def loads_per_read(self) -> float:
        """Database amplification: loads per read; without a cache it is 1.0."""
        return self.loads / self.reads if self.reads else 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Every endpoint of a cache, and its L1."""

    namespace: str
    entries: int
    bytes_used: int
    endpoints: Mapping[str, EndpointStats]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries, for JSON."""
        return {
            "namespace": self.namespace,
            "entries": self.entries,
            "bytes_used": self.bytes_used,
            "endpoints": {
                name: asdict(one)
                | {
                    "hit_rate": one.hit_rate,
                    "miss_rate": one.miss_rate,
                    "loads_per_missed_key": one.loads_per_missed_key,
                    "loads_per_read": one.loads_per_read,
                }
                for name, one in self.endpoints.items()
            },
        }


def endpoint_stats(name: str, tally: Tally, *, entries: int, entry_hits: int) -> EndpointStats:
    """The snapshot of one endpoint; `entry_hits` are those counted on the fast path."""
    return EndpointStats(
        name=name,
        entries=entries,
        hits=entry_hits + tally.fresh + tally.grace + tally.outdated + tally.remembered_errors,
        grace=tally.grace,
        outdated=tally.outdated,
        remembered_errors=tally.remembered_errors,
        misses={reason.value: tally.forward[reason] for reason in Forward},
        collapsed=tally.collapsed,
        loads=tally.loads,
        loads_failed=tally.loads_failed,
        loads_repeated=tally.loads_repeated,
        refreshes=tally.refreshes,
        refreshes_failed=tally.refreshes_failed,
        refreshes_dropped=tally.refreshes_dropped,
        stored=tally.stored,
        not_stored={reason.value: tally.not_stored[reason] for reason in NotStored},
        invalidations=tally.invalidations,
        evicted=tally.evicted,
        fill=Latency.of(tally.fill),
        age_at_serve=Latency.of(tally.age_at_serve),
    )
