"""What the service reports of itself: the cache's own counters, and what reached the database."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside import Cache, EndpointStats
from cacheaside.demo.database import Database
from cacheaside.demo.messages import Endpoint, ServicePulse
from cacheaside.demo.replay import Replay, ReplayClock

__all__ = ["Gauges"]

_LATEST_READS = 1000
"""How many reads a pulse's quantiles are taken from; the last report takes all."""


class Gauges:
    """Reads the counters of one service."""

    def __init__(self, cache: Cache, database: Database, replay: Replay, clock: ReplayClock) -> None:
        self._cache = cache
        self._database = database
        self._replay = replay
        self._clock = clock
        self._told = 0

    def pulse(self, *, final: bool) -> ServicePulse:
        """The counters as they are now."""
        stats = self._cache.stats().endpoints
        read_s = sorted(self._database.read_s if final else self._database.read_s[-_LATEST_READS:])
        acknowledged = self._replay.acknowledged[self._told :]
        self._told += len(acknowledged)
        return ServicePulse(
            final=final,
            clock=self._clock.now(),
            commits=self._told,
            held=self._replay.held,
            acknowledged=acknowledged,
            queries=self._database.queries,
            read_p50_ms=_quantile_ms(read_s, 0.5),
            read_p99_ms=_quantile_ms(read_s, 0.99),
            endpoints={name: _endpoint(one) for name, one in stats.items()},
        )


def _endpoint(stats: EndpointStats) -> Endpoint:
    return Endpoint(
        reads=stats.reads,
        hits=stats.hits,
        grace=stats.grace,
        misses={reason: count for reason, count in stats.misses.items() if count},
        collapsed=stats.collapsed,
        loads=stats.keys_loaded,
        loads_repeated=stats.keys_reloaded,
        refreshes=stats.refreshes,
        not_stored={reason: count for reason, count in stats.not_stored.items() if count},
        fill_p50_ms=stats.fill.p50_s * 1e3,
        fill_p99_ms=stats.fill.p99_s * 1e3,
    )


def _quantile_ms(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0
