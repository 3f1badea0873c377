"""What a run concludes, and the words it uses."""

from __future__ import annotations

import msgspec
import pytest

from cacheaside.demo.history import Findings
from cacheaside.demo.messages import Endpoint, LoadEnded, LoadPulse, ServicePulse
from cacheaside.demo.report import Phase, Report, phase_report
from cacheaside.demo.standing import Standing
from cacheaside.demo.table import comparison, in_a_line, verdict


def endpoint(**changes: int) -> Endpoint:
    counters = {
        "reads": 100,
        "hits": 80,
        "grace": 0,
        "collapsed": 4,
        "loads": 16,
        "loads_repeated": 0,
        "refreshes": 0,
    }
    return Endpoint(
        **{**counters, **changes}, misses={"absent": 20}, not_stored={}, fill_p50_ms=1.0, fill_p99_ms=2.0
    )


def service(**endpoints: Endpoint) -> ServicePulse:
    return ServicePulse(
        final=True,
        clock=0.0,
        commits=7,
        held=1,
        acknowledged=[],
        queries=50,
        read_p50_ms=3.0,
        read_p99_ms=4.0,
        endpoints=endpoints,
    )


def load(requests: int = 100, *, overlapping: int = 20, failed: int = 0) -> LoadEnded:
    return LoadEnded(
        requests={"flight": requests, "all": requests},
        absent=0,
        overlapping=overlapping,
        failed=failed,
        failures=[],
        span_s=2.0,
        p50_ms={"flight": 5.0, "all": 5.0},
        p99_ms={"flight": 9.0, "all": 9.0},
    )


def phase(*, cache: bool = True, findings: Findings | None = None, failed: int = 0) -> Phase:
    return phase_report(
        cache=cache,
        load=load(failed=failed),
        service=service(flight=endpoint(loads_repeated=1)),
        findings=findings or Findings(checked=100),
    )


def report(without: Phase, with_: Phase) -> Report:
    return Report(seed=1, connections=2, speed=3.0, flights=4, without_cache=without, with_cache=with_)


def test_rates_are_of_the_requests_answered() -> None:
    """Rates divide by the requests and the seconds of the load, hits by the reads of the cache."""
    told = phase()
    assert (told.requests_per_s, told.queries_per_request) == (50.0, 0.5)
    assert (told.hit_rate, told.miss_rate) == (0.8, pytest.approx(0.2))
    assert told.loads_per_missed_key == pytest.approx(16 / 15)


def test_without_the_cache_overlapping_requests_load_the_same_key_again() -> None:
    """Without the cache a key that several requests want at once is loaded by each of them."""
    assert phase(cache=False).loads_per_missed_key == pytest.approx(100 / 80)


@pytest.mark.parametrize(
    ("findings", "failed", "sound"),
    [
        (Findings(checked=100), 0, True),
        (Findings(checked=100, stale=3), 0, True),
        (Findings(checked=100, stale=3, beyond=1), 0, False),
        (Findings(checked=100, impossible=1), 0, False),
        (Findings(checked=0), 0, False),
        (Findings(checked=100), 1, False),
    ],
)
def test_a_phase_is_sound_only_when_it_was_shown_to_be(findings: Findings, failed: int, sound: bool) -> None:
    """Nothing beyond the contract, nothing unanswered, a history that can be trusted, and something checked."""
    assert phase(findings=findings, failed=failed).sound is sound


def test_the_verdict_says_what_was_found() -> None:
    """The sentence at the end tells a sound run, a stale one and one without a verdict apart."""
    good = phase()
    assert verdict(report(good, good)).startswith("No stale serve beyond the contract: 200 responses")
    stale = phase(findings=Findings(checked=100, stale=2, beyond=2, oldest_s=0.5))
    assert verdict(report(good, stale)).startswith("2 stale serves beyond the contract")
    assert verdict(report(good, phase(findings=Findings(checked=1, impossible=1)))).startswith("No verdict")


def test_the_comparison_leaves_out_what_did_not_run() -> None:
    """Before the second phase its column is empty and nothing is compared."""
    lines = comparison(phase(cache=False), None)
    assert {line.with_ + line.factor for line in lines} == {""}
    full = {line.name: line for line in comparison(phase(cache=False), phase())}
    assert full["requests/s"].factor == "1.0x more"
    assert (full["hit rate"].without, full["hit rate"].with_) == ("–", "80.0%")


def test_what_got_worse_is_said_so() -> None:
    """A measure that the cache made worse is not called an improvement below one."""
    slow = msgspec.structs.replace(phase(), p50_ms=10.0)
    lines = {line.name: line.factor for line in comparison(phase(cache=False), slow)}
    assert lines["latency p50 / p99, ms"] == "2.0x higher"


def test_a_phase_fits_a_line() -> None:
    """A line of progress stays below 100 characters."""
    assert len(in_a_line(phase())) < 100


def test_progress_is_told_in_the_terms_of_the_report() -> None:
    """While a phase runs, its standing gives the numbers so far: counts of all of it, latencies of the last pulse."""
    standing = Standing(cache=True, seconds=10)
    assert standing.phase() is None
    for requests, p50_ms in ((10, 9.0), (30, 3.0)):
        standing.load_pulse(
            LoadPulse(
                requests=requests,
                absent=1,
                overlapping=2,
                failed=0,
                span_s=0.5,
                p50_ms=p50_ms,
                p99_ms=9.0,
                served=[],
            )
        )
    standing.service_pulse(service(flight=endpoint()), Findings(checked=5))
    so_far = standing.phase()
    assert so_far is not None
    assert (so_far.requests, so_far.requests_per_s, so_far.p50_ms) == (40, 40.0, 3.0)
    assert standing.rates == [20.0, 60.0]
