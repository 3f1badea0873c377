"""What a read answered, and why: the words of stats, logs and `explain`.

Two axes, as in the HTTP Cache-Status registry: was it *served* by the cache and how, and why did it go *forward*.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

__all__ = ["Forward", "Lookup", "NotStored", "Served", "Tier"]

V = TypeVar("V")


class Served(StrEnum):
    """How the value was come by."""

    FRESH = "fresh"
    """From the cache, within ttl."""
    GRACE = "grace"
    """From the cache, past ttl (or the part of it that jitter left) and within ttl + grace, while it is refreshed or
    the source fails."""
    OUTDATED = "outdated"
    """From the cache, known to be invalidated, within stale_after_invalidation."""
    LOADED = "loaded"
    """From the source, by a load that this read began."""
    COLLAPSED = "collapsed"
    """From the source, by a load that another read began, in this process or another."""


class Forward(StrEnum):
    """Why a read went forward to the source."""

    ABSENT = "absent"
    """Nothing was held under the key: never loaded, not storable, or gone long ago."""
    EVICTED = "evicted"
    """What was held was removed for space, not long ago."""
    EXPIRED = "expired"
    """What was held is older than the contract allows."""
    INVALIDATED = "invalidated"
    """What was held is known to be out of date."""
    STRONG = "strong"
    """The contract or the call asked for the source itself."""
    BYPASS = "bypass"
    """The cache is disabled, the endpoint is killed, or the key is outside its ramp."""
    AWAY = "away"
    """The shared tier did not answer, and nothing that this process holds could be shown to be valid without it."""
    NESTED = "nested"
    """A read inside another endpoint's load, and nothing held could be shown to be valid."""


class NotStored(StrEnum):
    """Why a loaded value was returned but not stored."""

    CONTRACT = "contract"
    """store= said no, or an absent row without absent_ttl."""
    WRITER = "writer"
    """A write of one of its tags was under way."""
    MOVED = "moved"
    """One of its tags was invalidated while it was loaded."""
    VALUE_TAGS = "value_tags"
    """It could not be shown that the tags found in the value held still during the load; the next fill can."""
    AWAY = "away"
    """The shared tier did not answer."""
    UNSTORABLE = "unstorable"
    """It does not fit the endpoint's return annotation."""
    TOO_LARGE = "too_large"
    """Larger than max_bytes or than L1 takes."""
    TOO_MANY_TAGS = "too_many_tags"
    """More tags than max_tags."""


class Tier(StrEnum):
    """Where the value came from: this process, the shared tier, or the source."""

    L1 = "l1"
    L2 = "l2"
    SOURCE = "source"


class Lookup(msgspec.Struct, Generic[V], frozen=True):
    """One read's answer with its circumstances.

    value: what the plain call would have returned.
    served, forward: how it was come by, and why the source was asked (None when it was not).
    age_s: seconds since the load of the value began. bound_s: the greatest age that was allowed.
    stored: whether this read's load entered the cache; not_stored says why not.
    refreshing: a load behind this read was started or is under way.
    source_error: the class name of the last refresh's failure, while an older value is served because of it.
    """

    value: V
    served: Served
    forward: Forward | None
    tier: Tier
    age_s: float
    bound_s: float
    stored: bool = False
    not_stored: NotStored | None = None
    refreshing: bool = False
    source_error: str | None = None

    @property
    def hit(self) -> bool:
        """Served by the cache, without waiting for the source."""
        return self.tier is not Tier.SOURCE
