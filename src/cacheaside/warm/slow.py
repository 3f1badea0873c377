"""A source's limit, held down for a while where a process starts cold: `policy.slow_start`, told the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cacheaside.endpoint.host import Host
from cacheaside.policy.slow_start import slow_start_most
from cacheaside.source.limit import Limit

__all__ = ["start_slowly"]

SEEN_MIN: Final = 100
"""Reads that L1 did not answer, before it is judged by them whether the shared tier is warm."""
LOOK_EVERY_S: Final = 0.1


def start_slowly(host: Host, limit: Limit, over_s: float, now: Callable[[], float]) -> None:
    """Hold `limit` down until `over_s` after its next load, or until it shows that the shared tier is warm."""
    limit.slow = _Slow(host, limit, over_s, now)


class _Slow:
    """Asked by the limit how many loads it may have under way; it lets go of the limit at its end.

    Nobody is woken as it rises: whoever waits is looked at when a load ends, and at least one is always under way.
    """

    __slots__ = ("_begun", "_given", "_host", "_limit", "_look_at", "_missed", "_over_s", "_shared", "now")

    def __init__(self, host: Host, limit: Limit, over_s: float, now: Callable[[], float]) -> None:
        self.now = now
        self._host = host
        self._limit = limit
        self._over_s = over_s
        self._begun: float | None = None
        self._look_at = 0.0
        self._given = sum(limit.given)
        self._shared, self._missed = _reads(host)

    def __call__(self) -> int:
        now = self.now()
        if self._begun is None:
            if sum(self._limit.given) == self._given:
                return slow_start_most(self._limit.share, 0.0, self._over_s)
            self._begun = self._look_at = now
        if now - self._begun >= self._over_s or self._is_warm(now):
            self._limit.slow = None
            return self._limit.most
        return slow_start_most(self._limit.share, now - self._begun, self._over_s)

    def _is_warm(self, now: float) -> bool:
        """Whether the tier answers at least half of what L1 does not."""
        if self._host.shared is None or now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_S
        shared, missed = _reads(self._host)
        shared, missed = shared - self._shared, missed - self._missed
        return shared + missed >= SEEN_MIN and shared >= missed


def _reads(host: Host) -> tuple[int, int]:
    """Reads so far that the shared tier answered, and that nobody did."""
    tallies = [endpoint.tally for endpoint in list(host.endpoints.values())]
    return sum(one.shared_hits for one in tallies), sum(sum(one.forward.values()) for one in tallies)
