"""Pulses, stages and reports, as the tests of what is shown put them together."""

from __future__ import annotations

from cacheaside.demo.gathered import Gathered
from cacheaside.demo.history import From, History, Served
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Done, Endpoint, Failure, LoadPulse, ServicePulse
from cacheaside.demo.promises import Allowance, Promises
from cacheaside.demo.recovery import OutageReport
from cacheaside.demo.report import Phase, Report, phase_report, staleness
from cacheaside.demo.stages import WITH, WITHOUT
from cacheaside.demo.verdict import SideReport, judged

__all__ = [
    "answer",
    "endpoint",
    "load",
    "outage",
    "phase",
    "report",
    "service",
    "shared_report",
    "side",
    "sound_side",
]


def answer(
    at: float, *, lasting: float = 0.01, source: From = "l1", endpoint: str = "flight", process: int = 0
) -> Served:
    return Served(endpoint, at, at + lasting, ((1, 1),), None, process, source)


def load(
    *served: Served, span_s: float = 0.25, failures: tuple[Failure, ...] = (), overlapping: int = 0
) -> LoadPulse:
    return LoadPulse(
        span_s=span_s, absent=0, overlapping=overlapping, failures=list(failures), served=list(served)
    )


def endpoint(**changes: int) -> Endpoint:
    counters = {
        "reads": 100,
        "hits": 80,
        "grace": 0,
        "collapsed": 4,
        "loads": 16,
        "loads_repeated": 1,
        "refreshes": 0,
    }
    return Endpoint(
        **{**counters, **changes}, misses={"absent": 20}, not_stored={}, fill_us=[(1000, 8), (2000, 8)]
    )


def service(
    at: float = 0.0, *, queries: int = 50, owed: int = 0, done: tuple[Done, ...] = (), **endpoints: Endpoint
) -> ServicePulse:
    return ServicePulse(
        at=at,
        is_last=True,
        clock=0.0,
        commits=7,
        held=1,
        owed=owed,
        done=list(done),
        queries=queries,
        read_s=[0.003, 0.004],
        endpoints=endpoints or {"flight": endpoint()},
    )


def side(
    name: str, *, processes: int = 1, failures: tuple[Failure, ...] = (), overlapping: int = 0
) -> Gathered:
    """What was gathered of one quiet stage of two seconds with 100 answers, 5 ms each."""
    gathered = Gathered()
    gathered.begin(name, 10.0)
    for process in range(processes):
        gathered.service_pulse(process, service(10.0, queries=0))
    served = [answer(10.0 + n / 50, lasting=0.005) for n in range(100)]
    gathered.load_pulse(load(*served, span_s=2.0, failures=failures, overlapping=overlapping))
    gathered.end(12.0)
    for process in range(processes):
        gathered.service_pulse(process, service(12.0))
    return gathered


def phase(
    *, cache: bool = True, findings: Findings | None = None, failed: int = 0, overlapping: int = 20
) -> Phase:
    failures = tuple(Failure(10.0, "flight: refused") for _ in range(failed))
    totals = side(WITH if cache else WITHOUT, failures=failures, overlapping=overlapping).totals()
    assert totals is not None
    return phase_report(cache=cache, totals=totals, findings=findings or Findings(checked=100))


def report(without: Phase, with_: Phase) -> Report:
    """Of a run in one process."""
    return Report(
        seed=1,
        connections=2,
        rate=0.0,
        distance_ms=0.0,
        speed=3.0,
        flights=4,
        processes=1,
        tier=None,
        max_unsynced_s=2.0,
        without_cache=without,
        with_cache=with_,
        stages=[],
        outages=[],
        under_outages=None,
        changes=14,
    )


def outage(
    *, emptied: bool = True, told_after_s: float | None = 1.25, hits_after_s: float | None = 1.5
) -> OutageReport:
    return OutageReport(
        emptied=emptied,
        seconds=4.0,
        l1_for_s=1.98,
        changes=300,
        owed=290,
        told_after_s=told_after_s,
        hits_after_s=hits_after_s,
    )


def sound_side() -> SideReport:
    """The side with the cache, with nothing to be said against it."""
    gathered = Gathered()
    gathered.begin(WITH, 10.0)
    gathered.service_pulse(0, service(10.0))
    gathered.load_pulse(load(*[answer(10.0)] * 100))
    quiet = gathered.totals()
    assert quiet is not None
    for at, name in enumerate(("killed", "back", "frozen", "thawed"), 12):
        gathered.begin(f"Valkey {name}", float(at))
    gathered.end(16.0)
    promises = Promises({"flight": Allowance(0.0, 60.0)}, 2.0)
    return judged(gathered, quiet, History(), [], promises, cache=True)


def shared_report(part: SideReport, findings: Findings, *outages: OutageReport) -> Report:
    """Of a run with three processes and these outages, whose answers came to `findings`."""
    return Report(
        seed=1,
        connections=2,
        rate=800.0,
        distance_ms=5.0,
        speed=3.0,
        flights=4,
        processes=3,
        tier="Valkey 9.1.2",
        max_unsynced_s=2.0,
        without_cache=phase(cache=False),
        with_cache=part.quiet,
        stages=part.stages,
        outages=list(outages),
        under_outages=staleness(findings),
        changes=1200,
    )
