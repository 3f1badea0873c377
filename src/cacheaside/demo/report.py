"""What a run found out, as data: both sides of the comparison, and what the shared tier's outages were like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from cacheaside.demo.figures import StageFigures, latencies, quantile_ms
from cacheaside.demo.gathered import Totals
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Endpoint, ServicePulse
from cacheaside.demo.recovery import OutageReport
from cacheaside.observe.stats import Distribution

__all__ = ["EndpointReport", "Phase", "Report", "Staleness", "phase_report", "staleness"]

K = TypeVar("K")

_FAILURES_SHOWN: Final = 5


class Staleness(Struct, frozen=True):
    """The verdict of comparing every response with the database's history; see `judgement` and `promises`."""

    responses_checked: int
    row_versions_checked: int
    stale_serves: int
    beyond_contract: int
    behind_own_process: int
    behind_others: int
    oldest_behind_others_ms: float
    before_owed_changes: int
    oldest_before_owed_ms: float
    l1_out_of_touch: int
    shown_during_commit: int
    impossible: int
    oldest_stale_ms: float
    examples: list[str]

    @property
    def sound(self) -> bool:
        """Something was checked, it can be trusted, and nothing was worse than promised."""
        trusted = self.responses_checked > 0 and not self.impossible
        return trusted and not (self.beyond_contract or self.l1_out_of_touch)


class EndpointReport(Struct, frozen=True):
    """One endpoint's share of a phase. Latencies and fills in milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    fill_p50_ms: float
    fill_p99_ms: float
    counters: Endpoint


class Phase(Struct, frozen=True):
    """One phase. Latencies in milliseconds.

    hits, misses: of answers from L1 and the shared tier, and of those that waited for a load.
    fill: how long the database took for a load, the wait for its thread included.
    loads_per_missed_key: how often the database was asked for a key that several requests missed at once; without
        the cache, for a key that several requests wanted at once.
    queries_per_request: SELECTs that reached SQLite for requests answered.
    """

    cache: bool
    seconds: float
    requests: int
    failed_requests: int
    not_found: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    hits_p50_ms: float
    hits_p99_ms: float
    misses_p50_ms: float
    misses_p99_ms: float
    hit_rate: float
    miss_rate: float
    fill_p50_ms: float
    fill_p99_ms: float
    loads_per_missed_key: float
    database_queries: int
    queries_per_request: float
    changes: int
    bulk_holds: int
    staleness: Staleness
    endpoints: dict[str, EndpointReport]
    failures: list[str]

    @property
    def sound(self) -> bool:
        """Every request was answered, and no answer was older than the contract allows."""
        return self.staleness.sound and not self.failed_requests


class Report(Struct, frozen=True):
    """A whole run. `with_cache` is of the quiet times, before `outages`; `stages` are those of both sides.

    processes: of the service, on each side. tier: what they share over; None: nothing.
    under_outages: the verdict over the answers of the outages and after them.
    """

    seed: int
    connections: int
    rate: float
    distance_ms: float
    speed: float
    flights: int
    processes: int
    tier: str | None
    max_unsynced_s: float
    without_cache: Phase
    with_cache: Phase
    stages: list[StageFigures]
    outages: list[OutageReport]
    under_outages: Staleness | None
    changes: int

    @property
    def sound(self) -> bool:
        """Both sides were, and so was every stage."""
        quiet = self.without_cache.sound and self.with_cache.sound
        return quiet and not self.failed and (self.under_outages is None or self.under_outages.sound)

    @property
    def failed(self) -> int:
        """Requests without a proper answer, changes included."""
        return sum(stage.failed for stage in self.stages)

    @property
    def verdicts(self) -> list[Staleness]:
        """Of all answers."""
        parts = [self.without_cache.staleness, self.with_cache.staleness, self.under_outages]
        return [part for part in parts if part is not None]


def phase_report(*, cache: bool, totals: Totals, findings: Findings) -> Phase:
    """Put together what the load, the services and the check know."""
    counters = _summed(totals.services)
    reads = sum(one.reads for one in counters.values())
    hits = sum(one.hits for one in counters.values())
    latencies_s, read_s = sorted(latencies(totals.answers)), sorted(totals.read_s)
    hits_s, misses_s = (
        sorted(latencies(one for one in totals.answers if (one.source in ("l1", "l2")) is hit))
        for hit in (True, False)
    )
    queries = sum(pulse.queries for pulse in totals.services)
    return Phase(
        cache=cache,
        seconds=totals.span_s,
        requests=totals.requests,
        failed_requests=len(totals.failures),
        not_found=totals.absent,
        requests_per_s=totals.requests / totals.span_s,
        p50_ms=quantile_ms(latencies_s, 0.5),
        p99_ms=quantile_ms(latencies_s, 0.99),
        hits_p50_ms=quantile_ms(hits_s, 0.5),
        hits_p99_ms=quantile_ms(hits_s, 0.99),
        misses_p50_ms=quantile_ms(misses_s, 0.5),
        misses_p99_ms=quantile_ms(misses_s, 0.99),
        hit_rate=hits / max(1, reads),
        miss_rate=1 - hits / max(1, reads),
        fill_p50_ms=quantile_ms(read_s, 0.5),
        fill_p99_ms=quantile_ms(read_s, 0.99),
        loads_per_missed_key=_loads_per_missed_key(counters.values())
        if cache
        else totals.requests / max(1, totals.requests - totals.overlapping),
        database_queries=queries,
        queries_per_request=queries / max(1, totals.requests),
        changes=sum(pulse.commits for pulse in totals.services),
        bulk_holds=sum(pulse.held for pulse in totals.services),
        staleness=staleness(findings),
        endpoints={name: _endpoint(name, one, totals) for name, one in counters.items()},
        failures=[failure.why for failure in totals.failures[:_FAILURES_SHOWN]],
    )


def _endpoint(name: str, counters: Endpoint, totals: Totals) -> EndpointReport:
    latencies_s = sorted(latencies(one for one in totals.answers if one.endpoint == name))
    fill = Distribution(sum(n for _, n in counters.fill_us), 0, tuple(counters.fill_us))
    return EndpointReport(
        len(latencies_s),
        quantile_ms(latencies_s, 0.5),
        quantile_ms(latencies_s, 0.99),
        fill.p50_s * 1e3,
        fill.p99_s * 1e3,
        counters,
    )


def _summed(services: Sequence[ServicePulse]) -> dict[str, Endpoint]:
    """The counters of all processes together, by endpoint."""
    names = dict.fromkeys(name for pulse in services for name in pulse.endpoints)
    return {name: _sum([pulse.endpoints[name] for pulse in services]) for name in names}


def _sum(parts: Sequence[Endpoint]) -> Endpoint:
    return Endpoint(
        reads=sum(one.reads for one in parts),
        hits=sum(one.hits for one in parts),
        grace=sum(one.grace for one in parts),
        misses=dict(_merged(one.misses.items() for one in parts)),
        collapsed=sum(one.collapsed for one in parts),
        loads=sum(one.loads for one in parts),
        loads_repeated=sum(one.loads_repeated for one in parts),
        refreshes=sum(one.refreshes for one in parts),
        not_stored=dict(_merged(one.not_stored.items() for one in parts)),
        fill_us=sorted(_merged(one.fill_us for one in parts)),
    )


def _merged(parts: Iterable[Iterable[tuple[K, int]]]) -> list[tuple[K, int]]:
    counts: dict[K, int] = {}
    for part in parts:
        for name, count in part:
            counts[name] = counts.get(name, 0) + count
    return list(counts.items())


def _loads_per_missed_key(counters: Iterable[Endpoint]) -> float:
    loads, repeated = 0, 0
    for one in counters:
        loads, repeated = loads + one.loads, repeated + one.loads_repeated
    return loads / max(1, loads - repeated)


def staleness(findings: Findings) -> Staleness:
    """Findings as part of a report."""
    return Staleness(
        responses_checked=findings.checked,
        row_versions_checked=findings.versions,
        stale_serves=findings.stale,
        beyond_contract=findings.beyond,
        behind_own_process=findings.own,
        behind_others=findings.behind,
        oldest_behind_others_ms=findings.behind_s * 1e3,
        before_owed_changes=findings.owed,
        oldest_before_owed_ms=findings.owed_s * 1e3,
        l1_out_of_touch=findings.alone,
        shown_during_commit=findings.in_commit,
        impossible=findings.impossible,
        oldest_stale_ms=findings.oldest_s * 1e3,
        examples=findings.examples,
    )
