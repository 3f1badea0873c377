"""What a service process reports of itself: the cache's own counters, and what reached the database."""

from __future__ import annotations

import time

from cacheaside import Cache, EndpointStats
from cacheaside.demo.database import Database
from cacheaside.demo.ledger import Ledger
from cacheaside.demo.messages import Endpoint, ServicePulse
from cacheaside.demo.replay import ReplayClock
from cacheaside.demo.writes import Writes

__all__ = ["Gauges"]


class Gauges:
    """Reads the counters of one process."""

    def __init__(
        self, cache: Cache, database: Database, writes: Writes, ledger: Ledger, clock: ReplayClock
    ) -> None:
        self._cache = cache
        self._database = database
        self._writes = writes
        self._ledger = ledger
        self._clock = clock

    def pulse(self, *, is_last: bool) -> ServicePulse:
        """The counters as they are now, and what is new since the last time."""
        stats = self._cache.stats()
        read_s, self._database.read_s = self._database.read_s, []
        return ServicePulse(
            at=time.monotonic(),
            is_last=is_last,
            clock=self._clock.now(),
            commits=len(self._ledger.changes),
            held=self._writes.held,
            owed=0 if stats.shared is None else stats.shared.owed,
            done=self._ledger.news(),
            queries=self._database.queries,
            read_s=read_s,
            endpoints={name: _endpoint(one) for name, one in stats.endpoints.items()},
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
        fill_us=list(stats.fill.buckets_us),
    )
