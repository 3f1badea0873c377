"""What a run found out, as data: one phase without the cache, one with it."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from cacheaside.demo.history import Findings
from cacheaside.demo.messages import Endpoint, LoadEnded, ServicePulse

__all__ = ["EndpointReport", "Phase", "Report", "Staleness", "phase_report"]


class Staleness(Struct, frozen=True):
    """The verdict of comparing every response with the database's history; see `history` for the rules."""

    responses_checked: int
    row_versions_checked: int
    stale_serves: int
    beyond_contract: int
    shown_during_commit: int
    impossible: int
    oldest_stale_ms: float
    examples: list[str]


class EndpointReport(Struct, frozen=True):
    """One endpoint's share of a phase."""

    requests: int
    p50_ms: float
    p99_ms: float
    counters: Endpoint


class Phase(Struct, frozen=True):
    """One phase. Latencies in milliseconds.

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
        verdict = self.staleness
        trusted = verdict.responses_checked > 0 and not verdict.impossible
        return trusted and not (verdict.beyond_contract or self.failed_requests)


class Report(Struct, frozen=True):
    """A whole run."""

    seed: int
    connections: int
    speed: float
    flights: int
    without_cache: Phase
    with_cache: Phase

    @property
    def sound(self) -> bool:
        """Both phases were; see `Phase.sound`."""
        return self.without_cache.sound and self.with_cache.sound


def phase_report(*, cache: bool, load: LoadEnded, service: ServicePulse, findings: Findings) -> Phase:
    """Put together what the load, the service and the check know."""
    requests = load.requests["all"]
    counters = service.endpoints.values()
    reads = sum(one.reads for one in counters)
    hits = sum(one.hits for one in counters)
    return Phase(
        cache=cache,
        seconds=load.span_s,
        requests=requests,
        failed_requests=load.failed,
        not_found=load.absent,
        requests_per_s=requests / load.span_s,
        p50_ms=load.p50_ms["all"],
        p99_ms=load.p99_ms["all"],
        hit_rate=hits / max(1, reads),
        miss_rate=1 - hits / max(1, reads),
        fill_p50_ms=service.read_p50_ms,
        fill_p99_ms=service.read_p99_ms,
        loads_per_missed_key=_loads_per_missed_key(counters)
        if cache
        else requests / (requests - load.overlapping),
        database_queries=service.queries,
        queries_per_request=service.queries / max(1, requests),
        changes=service.commits,
        bulk_holds=service.held,
        staleness=_staleness(findings),
        endpoints={
            name: EndpointReport(load.requests[name], load.p50_ms[name], load.p99_ms[name], counters)
            for name, counters in service.endpoints.items()
            if name in load.requests
        },
        failures=load.failures,
    )


def _loads_per_missed_key(counters: Collection[Endpoint]) -> float:
    loads = sum(one.loads for one in counters)
    return loads / max(1, loads - sum(one.loads_repeated for one in counters))


def _staleness(findings: Findings) -> Staleness:
    return Staleness(
        responses_checked=findings.checked,
        row_versions_checked=findings.versions,
        stale_serves=findings.stale,
        beyond_contract=findings.beyond,
        shown_during_commit=findings.in_commit,
        impossible=findings.impossible,
        oldest_stale_ms=findings.oldest_s * 1e3,
        examples=findings.examples,
    )
