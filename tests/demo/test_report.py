"""What a run concludes of each side, and the words of the comparison."""

from __future__ import annotations

import msgspec
import pytest

from cacheaside.demo.gathered import Gathered
from cacheaside.demo.judgement import Findings
from cacheaside.demo.report import phase_report
from cacheaside.demo.stages import WITH
from cacheaside.demo.table import comparison, endpoint_lines
from tests.demo.pulses import answer, endpoint, load, phase, report, service, side


def test_rates_are_of_the_requests_answered() -> None:
    """Rates divide by the requests and the seconds of the load, hits by the reads of the cache."""
    told = phase()
    assert (told.requests, told.requests_per_s, told.queries_per_request) == (100, 50.0, 0.5)
    assert (told.hit_rate, told.miss_rate) == (0.8, pytest.approx(0.2))
    assert (told.p50_ms, told.fill_p50_ms, told.fill_p99_ms) == (pytest.approx(5.0), 4.0, 4.0)
    assert told.loads_per_missed_key == pytest.approx(16 / 15)


def test_counters_of_all_processes_are_added_up() -> None:
    """What several processes counted is one service's: reads, queries, changes, and how long its loads took."""
    gathered = side(WITH, processes=2)
    odd = msgspec.structs.replace(
        endpoint(reads=300, hits=20), fill_us=[(2000, 4), (9000, 30)], misses={"expired": 5}
    )
    gathered.service_pulse(2, service(12.0, flight=odd))
    totals = gathered.totals()
    assert totals is not None
    told = phase_report(cache=True, totals=totals, findings=Findings(checked=1))
    assert told.hit_rate == pytest.approx(180 / 500)
    assert (told.database_queries, told.changes, told.bulk_holds) == (150, 21, 3)
    one = told.endpoints["flight"]
    assert one.counters.misses == {"absent": 40, "expired": 5}
    assert one.counters.fill_us == [(1000, 16), (2000, 20), (9000, 30)]
    assert (one.requests, one.fill_p50_ms, one.fill_p99_ms) == (100, 2.0, 9.0)


def test_without_the_cache_overlapping_requests_load_the_same_key_again() -> None:
    """Without the cache a key that several requests want at once is loaded by each of them."""
    assert phase(cache=False).loads_per_missed_key == pytest.approx(100 / 80)


@pytest.mark.parametrize(
    ("findings", "failed", "sound"),
    [
        (Findings(checked=100), 0, True),
        (Findings(checked=100, stale=3, behind=2, owed=1), 0, True),
        (Findings(checked=100, stale=3, beyond=1), 0, False),
        (Findings(checked=100, alone=1), 0, False),
        (Findings(checked=100, impossible=1), 0, False),
        (Findings(checked=0), 0, False),
        (Findings(checked=100), 1, False),
    ],
)
def test_a_phase_is_sound_only_when_it_was_shown_to_be(findings: Findings, failed: int, sound: bool) -> None:
    """Nothing beyond the contract, nothing unanswered, a history that can be trusted, and something checked."""
    assert phase(findings=findings, failed=failed).sound is sound
    assert report(phase(cache=False), phase(findings=findings, failed=failed)).sound is sound


def test_the_comparison_leaves_out_what_did_not_run() -> None:
    """Before the second phase its column is empty and nothing is compared."""
    lines = comparison(phase(cache=False), None)
    assert {line.with_ + line.factor for line in lines} == {""}
    full = {line.name: line for line in comparison(phase(cache=False), phase())}
    assert (full["hit rate"].without, full["hit rate"].with_) == ("–", "80.0%")


def test_what_got_worse_is_said_so() -> None:
    """A measure that the cache made worse is not called an improvement below one; the same is not called anything."""
    slow = msgspec.structs.replace(phase(), p50_ms=2.5, p99_ms=10.0, requests_per_s=52.0)
    lines = {line.name: (line.factor, line.worse) for line in comparison(phase(cache=False), slow)}
    assert lines["latency p50, ms"] == ("2.0x lower", False)
    assert lines["latency p99, ms"] == ("2.0x higher", True)
    assert lines["requests/s"] == ("", False)


def test_hits_and_misses_have_latencies_of_their_own() -> None:
    """The tail is of misses, so it is told apart: what waited for a load, its own or another's, is none of the hits."""
    gathered = Gathered()
    gathered.begin(WITH, 10.0)
    gathered.service_pulse(0, service(10.0))
    took = {"l1": 0.001, "l2": 0.002, "joined": 0.02, "source": 0.03}
    gathered.load_pulse(
        load(*[answer(10.0, lasting=s, source=of) for of, s in took.items() for _ in range(50)])
    )  # type: ignore[arg-type]
    totals = gathered.totals()
    assert totals is not None
    told = phase_report(cache=True, totals=totals, findings=Findings(checked=1))
    assert (told.hits_p50_ms, told.hits_p99_ms) == (pytest.approx(2.0), pytest.approx(2.0))
    assert (told.misses_p50_ms, told.misses_p99_ms) == (pytest.approx(30.0), pytest.approx(30.0))
    lines = {line.name: line for line in comparison(phase(cache=False), told)}
    assert (lines["  of hits p50 / p99"].without, lines["  of hits p50 / p99"].with_) == ("–", "2.00 / 2.00")
    assert lines["  of misses p50 / p99"].with_ == "30.0 / 30.0"


def test_each_endpoint_has_a_line() -> None:
    """An endpoint's requests, hits and loads are told by its name."""
    assert endpoint_lines(phase()) == [
        ("flight", "100", "5.00 / 5.00", "80.0%", "20", "4", "0", "1.00 / 2.00")
    ]
