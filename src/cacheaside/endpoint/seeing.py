"""What `Cache` shows of itself: its numbers, its declarations, and what stands behind one key.

A base class, so that `cache.py` stays what users read first.
"""

from __future__ import annotations

from typing import Any

from cacheaside.endpoint.changed import switched
from cacheaside.endpoint.explaining import explain_awaited, explain_here, facade_of
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.review import EndpointReview, reviewed
from cacheaside.observe.explanation import Explanation
from cacheaside.observe.stats import CacheStats, endpoint_stats

__all__ = ["Seeing", "SeeingBlocking", "host_of"]


def host_of(cache: Seeing) -> Host:
    """What stands behind a cache, for the floors above it that look deeper than users do."""
    return cache._host  # noqa: SLF001 - its own module


class Seeing:
    """The half of `Cache` that looks and changes nothing."""

    _host: Host

    def stats(self) -> CacheStats:
        """What happened so far, per endpoint, as integers."""
        host = self._host
        with host.lock:
            endpoints = list(host.endpoints.values())
        return CacheStats(
            host.namespace,
            len(host.l1),
            host.l1.bytes_used,
            {
                e.name: endpoint_stats(
                    e.name,
                    e.tally,
                    entries=len(e.table.entries),
                    entry_hits=host.l1.hits(e.table),
                    killed=killed,
                    ramp=ramp,
                )
                for e in endpoints
                for killed, ramp in [switched(e.changed)]
            },
            None if host.shared is None else host.shared.stats(),
            host.enabled,
            host.source_stats(),
        )

    def contracts(self) -> list[EndpointReview]:
        """What every endpoint has declared, by name: the window of staleness that each read may be served in, for
        review."""
        with self._host.lock:
            endpoints = sorted(self._host.endpoints.items())
        return [reviewed(endpoint) for _, endpoint in endpoints]

    async def explain(self, endpoint: str, /, *args: Any, **kwargs: Any) -> Explanation:
        """What stands behind one key: `await cache.explain("product", 42)`; as `product.explain(42)`, for endpoints of
        either colour.

        Where the entry is, how old, under which bound; which tag put it out of date; who loads it; and what the next
        read would do. Nothing is read, counted, loaded or changed by it. A server that does not answer is waited for as
        long as a read would, and said.
        """
        facade = facade_of(self._host, endpoint)
        return await explain_awaited(facade.told("explain", args, kwargs), self._host, facade)


class SeeingBlocking:
    """The same for sync code."""

    _host: Host

    def explain(self, endpoint: str, /, *args: Any, **kwargs: Any) -> Explanation:
        """As `Cache.explain`."""
        facade = facade_of(self._host, endpoint)
        return explain_here(facade.told("explain", args, kwargs), self._host, facade)
