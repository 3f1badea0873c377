"""The four numbers and what they are made of, per endpoint: hit rate, miss rate, fill latency, database amplification.

A snapshot: plain integers, taken without stopping anything, so that counters that move together may be one apart. No
key and no value is in it. Counters never go back: what happened in a minute is the difference of two snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cacheaside.histogram import Histogram
from cacheaside.lookup import Forward, NotStored
from cacheaside.observe.sources import SourceStats
from cacheaside.observe.text import table_of
from cacheaside.tally import Tally

__all__ = ["CacheStats", "Distribution", "EndpointStats", "SharedStats", "SourceStats", "endpoint_stats"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Durations, counted in buckets.

    buckets_us: each used bucket's upper edge, in microseconds, with the number of durations in it; ascending. sum_us:
    of all of them. Quantiles are upper edges: never too small, and too large by at most 12.5 % or 1 µs.
    """

    count: int
    sum_us: int
    buckets_us: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, histogram: Histogram) -> Distribution:
        """What `histogram` counted so far."""
        buckets = tuple(histogram.buckets())
        return cls(sum(n for _, n in buckets), histogram.sum_us, buckets)

    @property
    def mean_s(self) -> float:
        """The mean in seconds; 0.0 when empty."""
        return self.sum_us / self.count / 1e6 if self.count else 0.0

    def quantile_s(self, share: float) -> float:
        """The duration that `share` (0 to 1) of the counted ones do not exceed, in seconds; 0.0 when empty."""
        rank = share * self.count
        seen = 0
        for upper_us, n in self.buckets_us:
            seen += n
            if seen >= rank:
                return upper_us / 1e6
        return 0.0

    @property
    def p50_s(self) -> float:
        """The median, in seconds."""
        return self.quantile_s(0.5)

    @property
    def p99_s(self) -> float:
        """The 99th percentile, in seconds."""
        return self.quantile_s(0.99)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with mean and quantiles."""
        return asdict(self) | {"mean_s": self.mean_s, "p50_s": self.p50_s, "p99_s": self.p99_s}


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint since the process began. Every read is either a hit or a miss: `hits + misses_total == reads`.

    hits: reads that the cache answered without waiting for the source, of which `shared_hits` from the shared tier
    (`shared_stale` of these past their ttl or outdated); `grace` past their ttl, `outdated`
    after an invalidation, and `remembered_errors` with an exception that error_ttl keeps. misses: reads that went
    forward to the source, by reason (`Forward`), counted when they did. When they end: `loaded` by a load of their own,
    `collapsed` by one that another began, `failed` with an exception of the loader or its source; those that are
    cancelled, or never answered, are in none of the three. `served` is that axis as a whole.
    A key that `many` is given twice is read once; `refresh` is no read. Among threads, a hit at the very moment at
    which its entry goes may be missing from the count; none is counted twice.

    loads: begun, refreshes included, and those that the source refused a turn. keys_loaded: keys asked for in them,
    more where a batch loader is asked for many; `loads_failed` of them raised. keys_reloaded: of them, those that
    another load was under way for, and those that a read needed after its first, because a write came between or it
    was abandoned. abandoned: how often a read waited for a load that ended without a result. refreshes: loads behind
    readers and by `refresh`, of which `refreshes_failed` failed; refreshes_dropped: not begun, because too many were
    waiting; refreshes_paced: because the source had enough of them, once for each read that asked.
    stored: loads whose value the cache kept; not_stored: the others that gave a value, by the reason (`NotStored`).
    invalidations: by this endpoint's own `invalidate` and `purge`. evicted: entries that went for room.
    entries: held now. killed, ramp: what `cache.control` makes of its reads now, ramp as a share of its keys, 0 to 1;
    as declared until the first read, which has the fleet looked at.

    fill: from the beginning of a load to its landing; loads that raised are not in it. age_at_serve: staleness, as the
    time since the load of what the cache served began; a fresh entry's hits are sampled, at most once a second each,
    all others are counted, so old values weigh more in it than they do among all reads.
    """

    name: str
    entries: int
    hits: int
    shared_hits: int
    shared_stale: int
    grace: int
    outdated: int
    remembered_errors: int
    misses: Mapping[str, int]
    loaded: int
    collapsed: int
    failed: int
    loads: int
    keys_loaded: int
    keys_reloaded: int
    loads_failed: int
    abandoned: int
    refreshes: int
    refreshes_failed: int
    refreshes_dropped: int
    refreshes_paced: int
    stored: int
    not_stored: Mapping[str, int]
    invalidations: int
    evicted: int
    fill: Distribution
    age_at_serve: Distribution
    killed: bool = False
    ramp: float = 1.0

    @property
    def served(self) -> Mapping[str, int]:
        """How each read that ended was served: the axis beside `misses`, which says why one went forward.

        Fresh from memory (`l1`) or from the shared tier (`l2`); from either in `grace`, `outdated`, or with a
        `remembered` exception; or from the source: `loaded`, `collapsed`, `failed`. No read is in two of them.
        """
        stale = self.grace + self.outdated + self.remembered_errors
        l2 = max(0, self.shared_hits - self.shared_stale)
        return {
            "l1": max(0, self.hits - stale - l2),
            "l2": l2,
            "grace": self.grace,
            "outdated": self.outdated,
            "remembered": self.remembered_errors,
            "loaded": self.loaded,
            "collapsed": self.collapsed,
            "failed": self.failed,
        }

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
        """Loads until the readers of a missed key were answered; 1.0 is what single flight promises, 0 without any.

        Strong reads and reads inside loads, which do not share, show here when they come together."""
        first = self.keys_loaded - self.keys_reloaded
        return self.keys_loaded / first if first else 0.0

    @property
    def loads_per_read(self) -> float:
        """Database amplification: calls of the loader per read; without a cache it is 1.0."""
        return self.loads / self.reads if self.reads else 0.0

    def __str__(self) -> str:
        return table_of([self])

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the rates."""
        counters = {one.name: getattr(self, one.name) for one in fields(self)}
        return counters | {
            "misses": dict(self.misses),
            "not_stored": dict(self.not_stored),
            "fill": self.fill.as_dict(),
            "age_at_serve": self.age_at_serve.as_dict(),
            "served": dict(self.served),
            "reads": self.reads,
            "misses_total": self.misses_total,
            "hit_rate": self.hit_rate,
            "miss_rate": self.miss_rate,
            "loads_per_missed_key": self.loads_per_missed_key,
            "loads_per_read": self.loads_per_read,
        }


@dataclass(frozen=True, slots=True)
class SharedStats:
    """How this process and its shared tier get on.

    up: every server of it answers; why_away says what one that does not was last heard to say. blind: a server does not
    tell of changes, so L1 holds nothing for longer than max_unsynced. unsynced_s: seconds since this process last knew
    that it had heard every change; None when it never did. owed: tags whose invalidation was not acknowledged, and is
    tried again. servers: those known, of which servers_up answer.
    lag: coherence lag: just before each answered heartbeat, how long ago this process had last known that it had heard
    everything; so the most that its L1 was behind by until then. heartbeat: round trips to the servers, one a
    heartbeat, from the question to where this process has read the answer; what a read adds to a hit in L1, about.
    Counted since the process began: went_away: how often a server that was up was found away, that is, how often the
    breaker opened; unanswered and refused exchanges; entries_refused: that a full server did not take;
    entries_unstorable: too large, or with too many tags; entries_rejected: what lay under an entry's key and was none,
    by reason; from_the_future: entries whose server's clock was set back since.
    """

    up: bool
    why_away: str | None
    blind: bool
    unsynced_s: float | None
    owed: int
    unanswered: int
    refused: int
    entries_refused: int
    entries_unstorable: int
    entries_rejected: Mapping[str, int]
    from_the_future: int
    servers: int
    servers_up: int
    went_away: int
    lag: Distribution
    heartbeat: Distribution

    def __str__(self) -> str:
        state = "up" if self.up else f"AWAY ({self.why_away or 'this process has not connected to it yet'})"
        heard = "never in touch" if self.unsynced_s is None else f"in touch {self.unsynced_s:.1f} s ago"
        blind = ", BLIND: it does not tell of changes" if self.blind else ""
        owed = f", {self.owed:,} invalidation{'s' * (self.owed != 1)} OWED" if self.owed else ""
        return f"shared tier: {state}, {heard}{blind}{owed}"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self) | {"lag": self.lag.as_dict(), "heartbeat": self.heartbeat.as_dict()}


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Every endpoint of a cache by its name, and its L1: entries held, and bytes of their encoded payload; and its
    shared tier, where it has one. enabled: False while every read goes to its source."""

    namespace: str
    entries: int
    bytes_used: int
    endpoints: Mapping[str, EndpointStats]
    shared: SharedStats | None = None
    enabled: bool = True
    sources: Mapping[str, SourceStats] = field(default_factory=dict[str, SourceStats])
    """By name; "inline" is that of endpoints without one."""

    def __str__(self) -> str:
        switched_off = "" if self.enabled else "DISABLED: every read goes to its source, "
        held = (
            f"cache {self.namespace}: {switched_off}entries held {self.entries:,}, bytes {self.bytes_used:,}"
        )
        shared = f"\n{self.shared}" if self.shared is not None else ""
        sources = "".join(f"\n{one}" for one in self.sources.values() if one.is_pressed)
        return f"{held}{shared}{sources}\n{table_of(self.endpoints.values())}"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "namespace": self.namespace,
            "enabled": self.enabled,
            "entries": self.entries,
            "bytes_used": self.bytes_used,
            "shared": None if self.shared is None else self.shared.as_dict(),
            "endpoints": {name: one.as_dict() for name, one in self.endpoints.items()},
            "sources": {name: one.as_dict() for name, one in self.sources.items()},
        }


def endpoint_stats(
    name: str, tally: Tally, *, entries: int, entry_hits: int, killed: bool, ramp: float
) -> EndpointStats:
    """The snapshot of one endpoint; `entry_hits` are those counted on the fast path."""
    return EndpointStats(
        name=name,
        entries=entries,
        hits=entry_hits + tally.fresh + tally.grace + tally.outdated + tally.remembered_errors,
        shared_hits=tally.shared_hits,
        shared_stale=tally.shared_stale,
        grace=tally.grace,
        outdated=tally.outdated,
        remembered_errors=tally.remembered_errors,
        misses={reason.value: tally.forward[reason] for reason in Forward},
        loaded=tally.loaded,
        collapsed=tally.collapsed,
        failed=tally.failed,
        loads=tally.loads,
        loads_failed=tally.loads_failed,
        keys_loaded=tally.keys_loaded,
        keys_reloaded=tally.keys_reloaded,
        abandoned=tally.abandoned,
        refreshes=tally.refreshes,
        refreshes_failed=tally.refreshes_failed,
        refreshes_dropped=tally.refreshes_dropped,
        refreshes_paced=tally.refreshes_paced,
        stored=tally.stored,
        not_stored={reason.value: tally.not_stored[reason] for reason in NotStored},
        invalidations=tally.invalidations,
        evicted=tally.evicted,
        fill=Distribution.of(tally.fill),
        age_at_serve=Distribution.of(tally.age_at_serve),
        killed=killed,
        ramp=ramp,
    )
