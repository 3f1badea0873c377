"""Every metric there is, and where its value stands in a snapshot. Exporters show these, each in its own way.

A metric that is not listed here is not exported. To add one, give it a line in the table of what it is about: of an
endpoint, of a shared tier, of a source, of a cache; or a table of its own to what is new.

Labels are names that are declared in code (`cache`, `cache_endpoint`) or members of an enum, never keys or arguments:
there are as many series as there are endpoints, times a constant. They are not called `namespace` and `endpoint`, for
these are what service discovery calls the targets' own, and would be renamed when they are scraped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from cacheaside.observe.metrics import Across, Kind, Metric, Sample, doubling
from cacheaside.observe.sources import SourceStats
from cacheaside.observe.stats import CacheStats, Distribution, EndpointStats, SharedStats

__all__ = ["METRICS", "PROCESSES", "SNAPSHOT_AGE", "samples_of"]

CACHE: Final = ("cache",)
ENDPOINT: Final = ("cache", "cache_endpoint")
SOURCE: Final = ("cache", "cache_source")

FILL_EDGES_US: Final = doubling(8, 25)
"""0.26 ms to 34 s, above which a load has timed out unless it was given longer."""
AGE_EDGES_US: Final = doubling(16, 40, 2)
"""66 ms to 13 days."""
LAG_EDGES_US: Final = doubling(12, 26)
"""4 ms to 67 s."""
ROUND_TRIP_EDGES_US: Final = doubling(6, 22)
"""64 µs to 4 s."""


def _counter(name: str, unit: str, help: str, *more: str, of: tuple[str, ...] = ENDPOINT) -> Metric:
    return Metric(f"cacheaside.{name}", Kind.COUNTER, f"{{{unit}}}", (*of, *more), help)


def _gauge(
    name: str,
    unit: str,
    help: str,
    *more: str,
    of: tuple[str, ...] = CACHE,
    across: Across = Across.SUM,
) -> Metric:
    return Metric(f"cacheaside.{name}", Kind.GAUGE, unit, (*of, *more), help, across)


def _histogram(name: str, help: str, edges_us: tuple[int, ...], of: tuple[str, ...] = ENDPOINT) -> Metric:
    return Metric(f"cacheaside.{name}", Kind.HISTOGRAM, "s", of, help, edges_us=edges_us)


Value = float | Distribution | Mapping[str, Any] | None
"""None: there is none now. A mapping adds a label, by its keys; one of mappings, two."""
OfEndpoint = Callable[[EndpointStats], Value]
OfShared = Callable[[SharedStats], Value]
OfSource = Callable[[SourceStats], Value]
OfCache = Callable[[CacheStats], Value]

_ENDPOINTS: Final[tuple[tuple[Metric, OfEndpoint], ...]] = (
    (
        _counter(
            "reads",
            "read",
            "Reads that ended, by how: l1, l2, grace, outdated, remembered (hits), loaded, collapsed, failed.",
            "outcome",
        ),
        lambda e: e.served,
    ),
    (
        _counter("forward", "read", "Reads that went forward to the source (misses), by why.", "reason"),
        lambda e: e.misses,
    ),
    (
        _counter("loads", "load", "Loads begun, refreshes and those refused a turn included."),
        lambda e: e.loads,
    ),
    (
        _counter("loads_failed", "load", "Loads that raised, or were refused a turn."),
        lambda e: e.loads_failed,
    ),
    (_counter("keys_loaded", "key", "Keys asked for in loads."), lambda e: e.keys_loaded),
    (
        _counter("keys_reloaded", "key", "Those of them asked for twice at once, or once more for one read."),
        lambda e: e.keys_reloaded,
    ),
    (_counter("abandoned", "wait", "Waits for a load that ended without a result."), lambda e: e.abandoned),
    (_counter("refreshes", "load", "Loads behind readers, and by refresh."), lambda e: e.refreshes),
    (_counter("refreshes_failed", "load", "Refreshes that failed."), lambda e: e.refreshes_failed),
    (
        _counter("refreshes_dropped", "load", "Refreshes not begun, because too many were waiting."),
        lambda e: e.refreshes_dropped,
    ),
    (
        _counter("refreshes_paced", "load", "Refreshes not begun, because the source had its share of them."),
        lambda e: e.refreshes_paced,
    ),
    (_counter("stored", "value", "Loaded values that the cache kept."), lambda e: e.stored),
    (
        _counter("not_stored", "value", "Loaded values that it did not keep, by why.", "reason"),
        lambda e: e.not_stored,
    ),
    (_counter("invalidations", "call", "Calls of invalidate and purge."), lambda e: e.invalidations),
    (_counter("evicted", "entry", "Entries of L1 that went for room."), lambda e: e.evicted),
    (_gauge("entries", "{entry}", "Entries held in L1.", of=ENDPOINT), lambda e: e.entries),
    (
        _gauge("control.killed", "", "1 while its kill switch is thrown.", of=ENDPOINT, across=Across.MOST),
        lambda e: e.killed,
    ),
    (
        _gauge("control.ramp", "", "The share of its keys that is cached.", of=ENDPOINT, across=Across.LEAST),
        lambda e: e.ramp,
    ),
    (_histogram("fill", "From the beginning of a load to its landing.", FILL_EDGES_US), lambda e: e.fill),
    (
        _histogram("age_at_serve", "Age of values when the cache served them, sampled.", AGE_EDGES_US),
        lambda e: e.age_at_serve,
    ),
)

_SHARED: Final[tuple[tuple[Metric, OfShared], ...]] = (
    (
        _gauge(
            "tier.up",
            "",
            "1 when every server of the shared tier answers: the breaker is closed.",
            across=Across.LEAST,
        ),
        lambda s: s.up,
    ),
    (
        _gauge("tier.servers", "{server}", "Servers of the shared tier.", across=Across.MOST),
        lambda s: s.servers,
    ),
    (
        _gauge("tier.servers_up", "{server}", "Those of them that answer.", across=Across.LEAST),
        lambda s: s.servers_up,
    ),
    (
        _counter(
            "tier.went_away", "event", "How often a server was found away: the breaker opened.", of=CACHE
        ),
        lambda s: s.went_away,
    ),
    (
        _gauge("tier.blind", "", "1 when a server does not tell of changes.", across=Across.MOST),
        lambda s: s.blind,
    ),
    (
        _gauge(
            "tier.unsynced",
            "s",
            "How long ago a process last knew that it had heard every change; none when it never did.",
            across=Across.MOST,
        ),
        lambda s: s.unsynced_s,
    ),
    (_gauge("tier.owed", "{tag}", "Tags whose invalidation is not acknowledged yet."), lambda s: s.owed),
    (
        _counter("tier.unanswered", "exchange", "Exchanges without an answer.", of=CACHE),
        lambda s: s.unanswered,
    ),
    (
        _counter("tier.refused", "exchange", "Exchanges answered with an error.", of=CACHE),
        lambda s: s.refused,
    ),
    (
        _counter("tier.entries_refused", "entry", "Entries that a full server did not take.", of=CACHE),
        lambda s: s.entries_refused,
    ),
    (
        _counter("tier.entries_unstorable", "entry", "Entries too large or with too many tags.", of=CACHE),
        lambda s: s.entries_unstorable,
    ),
    (
        _counter(
            "tier.entries_rejected",
            "entry",
            "What lay under the key of an entry and was none, by why.",
            "reason",
            of=CACHE,
        ),
        lambda s: s.entries_rejected,
    ),
    (
        _counter(
            "tier.entries_from_the_future", "entry", "Entries whose server's clock was set back.", of=CACHE
        ),
        lambda s: s.from_the_future,
    ),
    (
        _histogram(
            "tier.lag",
            "Coherence lag: just before each answered heartbeat, how long ago everything had been heard.",
            LAG_EDGES_US,
            CACHE,
        ),
        lambda s: s.lag,
    ),
    (
        _histogram("tier.heartbeat", "Round trips of heartbeats.", ROUND_TRIP_EDGES_US, CACHE),
        lambda s: s.heartbeat,
    ),
)

_SOURCES: Final[tuple[tuple[Metric, OfSource], ...]] = (
    (
        _gauge("source.ceiling", "{load}", "The declared limit, in weight of loads.", of=SOURCE),
        lambda s: s.ceiling,
    ),
    (
        _gauge("source.limit", "{load}", "The weight of loads that may be under way now.", of=SOURCE),
        lambda s: s.limit,
    ),
    (_gauge("source.held", "{load}", "The weight of loads under way.", of=SOURCE), lambda s: s.held),
    (
        _gauge("source.waiting", "{load}", "Loads that wait for a turn.", "priority", of=SOURCE),
        lambda s: s.waiting,
    ),
    (
        _gauge("source.waiting_max", "{load}", "The bound of all that wait.", of=SOURCE),
        lambda s: s.waiting_max,
    ),
    (_counter("source.given", "load", "Turns given.", "priority", of=SOURCE), lambda s: s.given),
    (
        _counter(
            "source.refused",
            "load",
            "Loads that got no turn, by why: full, shed, late, retry.",
            "priority",
            "reason",
            of=SOURCE,
        ),
        lambda s: s.refused,
    ),
    (
        _gauge(
            "source.inflation",
            "",
            "How many times as long as nearly alone a load took of late.",
            of=SOURCE,
            across=Across.MOST,
        ),
        lambda s: s.inflation,
    ),
    (
        _counter("source.backed_off", "event", "How often signs of overload shrank the limit.", of=SOURCE),
        lambda s: s.backed_off,
    ),
    (
        _gauge(
            "source.retry_budget",
            "{load}",
            "Repeats that may wait for a turn now, of the process with least.",
            of=SOURCE,
            across=Across.LEAST,
        ),
        lambda s: s.retry_budget_left,
    ),
)

_CACHES: Final[tuple[tuple[Metric, OfCache], ...]] = (
    (
        _gauge("enabled", "", "0 while every read goes to its source.", across=Across.LEAST),
        lambda c: c.enabled,
    ),
    (_gauge("l1.entries", "{entry}", "Entries held in L1, of every endpoint."), lambda c: c.entries),
    (_gauge("l1.used", "By", "Bytes of their encoded payload."), lambda c: c.bytes_used),
)

PROCESSES: Final = Metric(
    "cacheaside.processes", Kind.GAUGE, "{process}", CACHE, "Living processes that these numbers are of."
)
SNAPSHOT_AGE: Final = Metric(
    "cacheaside.snapshot_age",
    Kind.GAUGE,
    "s",
    CACHE,
    "Age of the oldest snapshot among those of living processes.",
    Across.MOST,
)
"""These two are of several processes: whoever puts their snapshots together knows the value."""

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        *[metric for metric, _ in _ENDPOINTS],
        *[metric for metric, _ in _CACHES],
        *[metric for metric, _ in _SHARED],
        *[metric for metric, _ in _SOURCES],
        PROCESSES,
        SNAPSHOT_AGE,
    )
}
"""By name, in the order in which they are shown."""


def samples_of(stats: CacheStats) -> Iterator[Sample]:
    """Every series of a snapshot."""
    own = (stats.namespace,)
    for name, endpoint in stats.endpoints.items():
        for of_endpoint, read in _ENDPOINTS:
            yield from _series(of_endpoint, (*own, name), read(endpoint))
    for of_cache, count in _CACHES:
        yield from _series(of_cache, own, count(stats))
    if stats.shared is not None:
        for of_shared, look in _SHARED:
            yield from _series(of_shared, own, look(stats.shared))
    for name, source in stats.sources.items():
        for of_source, tell in _SOURCES:
            yield from _series(of_source, (*own, name), tell(source))


def _series(metric: Metric, labels: tuple[str, ...], value: Value) -> Iterator[Sample]:
    if isinstance(value, Mapping):
        for last, inner in value.items():
            yield from _series(metric, (*labels, last), inner)
    elif isinstance(value, Distribution):
        yield Sample(metric, labels, value)
    elif value is not None:
        yield Sample(metric, labels, value + 0)  # a bool is 0 or 1
