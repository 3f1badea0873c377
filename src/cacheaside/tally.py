"""An endpoint's counters: plain integers, added to where things happen, read by `cache.stats()`.

Under free threads an increment may, rarely, be lost; a counter never goes back.
"""

from __future__ import annotations

from cacheaside.histogram import Histogram
from cacheaside.lookup import Forward, NotStored

__all__ = ["Tally"]


class Tally:
    """What happened at one endpoint, hits on the fast path excepted: those are counted in the entries themselves."""

    __slots__ = (
        "abandoned",
        "age_at_serve",
        "collapsed",
        "evicted",
        "failed",
        "fill",
        "forward",
        "fresh",
        "grace",
        "invalidations",
        "keys_loaded",
        "keys_reloaded",
        "loaded",
        "loads",
        "loads_failed",
        "not_stored",
        "outdated",
        "refreshes",
        "refreshes_dropped",
        "refreshes_failed",
        "refreshes_paced",
        "remembered_errors",
        "shared_hits",
        "shared_stale",
        "stored",
    )

    def __init__(self) -> None:
        self.fresh = 0
        """Served fresh, off the fast path."""
        self.grace = 0
        self.shared_hits = 0
        """Of those served from the cache: by the shared tier."""
        self.shared_stale = 0
        """Of these: in grace or outdated."""
        self.outdated = 0
        self.remembered_errors = 0
        self.loaded = 0
        """Reads that went forward and were answered by a load of their own."""
        self.collapsed = 0
        """Those answered by a load that another began."""
        self.failed = 0
        """Those that got the loader's exception, or the source's."""
        self.forward: dict[Forward, int] = dict.fromkeys(Forward, 0)
        self.loads = 0
        """Calls of the loader."""
        self.keys_loaded = 0
        """Keys asked for in them: a batch loader is asked for many at once."""
        self.keys_reloaded = 0
        """Of those, keys that another load was under way for, or that the same read had been loaded for before."""
        self.loads_failed = 0
        self.abandoned = 0
        self.refreshes = 0
        self.refreshes_failed = 0
        self.refreshes_dropped = 0
        self.refreshes_paced = 0
        """Not begun, because the source had enough of them: once for each read that asked for one."""
        self.stored = 0
        self.not_stored: dict[NotStored, int] = dict.fromkeys(NotStored, 0)
        self.invalidations = 0
        self.evicted = 0
        self.fill = Histogram()
        """From the beginning of a load, its wait for a turn of its source included, to its landing."""
        self.age_at_serve = Histogram()
        """Sampled: the age of values when they were served from the cache."""
