"""Moments that many entries share, because a float of its own costs an entry 24 bytes, 32 in the allocator."""

from __future__ import annotations

from typing import Final

__all__ = ["GRAIN_MAX_S", "SAMPLE_S", "Moments"]

SAMPLE_S: Final = 1.0
"""How often, at most, a hit of one entry leaves the fast path to have its age counted."""
GRAIN_MAX_S: Final = 0.05
_GRAINS_PER_TTL: Final = 1024


class Moments:
    """The last moments given out. Not thread-safe: guarded by the lock of L1."""

    __slots__ = ("_loaded_at", "_sample_at")

    def __init__(self) -> None:
        self._loaded_at = 0.0
        self._sample_at = 0.0

    def loaded_at(self, moment: float, ttl_s: float) -> float:
        """`moment`, or one shortly before it that another entry has: a thousandth of the ttl, 50 ms at most.

        Never later: an entry may count as a little older than it is, not as younger.
        """
        last = self._loaded_at
        if not 0.0 <= moment - last <= min(GRAIN_MAX_S, ttl_s / _GRAINS_PER_TTL):
            last = self._loaded_at = moment
        return last

    def sample_at(self, now: float) -> float:
        """When an entry looked at `now` leaves the fast path again: half of `SAMPLE_S` from now, up to all of it."""
        at = self._sample_at
        if not now + SAMPLE_S / 2 <= at <= now + SAMPLE_S:
            at = self._sample_at = now + SAMPLE_S
        return at
