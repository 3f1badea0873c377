"""What a run says at its end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cacheaside.demo.closing import examples, explained, slowest, verdict
from cacheaside.demo.judgement import Findings
from cacheaside.demo.report import Report
from cacheaside.demo.verdict import SideReport
from tests.demo.pulses import outage, phase, report, shared_report, sound_side


@pytest.fixture
def part() -> SideReport:
    return sound_side()


def told(part: SideReport, **findings: float) -> Report:
    return shared_report(part, Findings(checked=50, **findings), outage(), outage(emptied=False))  # type: ignore[arg-type]


def test_the_verdict_says_what_was_found() -> None:
    """The sentence at the end tells a sound run, a stale one and one without a verdict apart."""
    good = phase()
    assert verdict(report(good, good)) == (
        "No stale serve beyond the contract, and no error: 200 responses were compared with the database's history of"
        " 14 changes."
    )
    stale = phase(findings=Findings(checked=100, stale=2, beyond=2, oldest_s=0.5))
    assert verdict(report(good, stale)).startswith("2 stale serves beyond the contract: 200 responses")
    assert verdict(report(good, phase(findings=Findings(checked=1, impossible=1)))).startswith("No verdict")
    assert verdict(report(good, phase(findings=Findings()))).startswith("nothing could be checked")


def test_every_fault_is_named(part: SideReport) -> None:
    """A run that is not sound says all that was wrong with it."""
    faulty = told(part, stale=3, beyond=3, alone=4)
    assert not faulty.sound
    assert verdict(faulty).startswith(
        "3 stale serves beyond the contract; 4 answers from L1 when it was out of touch: 250 responses"
    )
    assert verdict(faulty).endswith("1,200 changes, made by 3 processes.")


def test_several_processes_are_told_by_the_promise_that_each_is_held_to(part: SideReport) -> None:
    """Behind their own process's changes, behind another's, before what was owed: each with its number and bound."""
    behind, killed, frozen, window = explained(
        told(part, stale=9, behind=4, behind_s=0.0123, owed=5, owed_s=2.26)
    )
    assert behind == (
        "Answers behind a change that their own process had made: 0 (promised: 0);"
        " behind one that another had made and Valkey acknowledged: 4, by 12.3 ms at most"
        " (promised: 2 s at most, from L1 only)."
    )
    assert killed.startswith("Valkey killed for 4.0 s: L1 answered for the first 1.98 s (limit: 2 s)")
    assert killed.endswith(
        "owed to the others until its return; all told 1.25 s after it. Hits as before: after 1.50 s."
    )
    assert frozen.startswith("Valkey frozen for 4.0 s")
    assert window.startswith("A change made while Valkey is away is acknowledged when it is back.")
    assert window.endswith("(one that was killed kept nothing): 5 answers did, by 2.3 s at most.")


def test_what_did_not_recover_is_said_so(part: SideReport) -> None:
    """An outage after which something was never told, or hits were not seen again, does not look like success."""
    lame = shared_report(part, Findings(checked=50), outage(told_after_s=None, hits_after_s=None))
    assert explained(lame)[1].endswith("never told. Hits as before: not seen.")
    assert explained(lame)[-1].endswith("none did.")


def test_a_worse_tail_is_explained(part: SideReport) -> None:
    """Where the slowest answers are slower with the cache, it is said, and why; where they are not, nothing is."""
    whole = shared_report(part, Findings(checked=50), outage())
    slow = replace(
        whole.with_cache, p99_ms=48.3, miss_rate=0.43, misses_p50_ms=13.1, misses_p99_ms=60.0, hits_p99_ms=6.8
    )
    (said,) = slowest(replace(whole, with_cache=slow))
    assert said == (
        "p99 is higher with the cache, because the slowest answers are misses, 43% of the reads here, and a miss asks"
        " Valkey three times besides the load: 13.1 ms at its median, where a read without the cache takes 5.0."
        " Of the hits, 99 in 100 took at most 6.8."
    )
    assert list(slowest(replace(whole, with_cache=replace(slow, p99_ms=1.0)))) == []
    assert list(slowest(replace(whole, with_cache=slow, tier=None))) == []


def test_one_process_has_nothing_to_explain() -> None:
    """Without a shared tier there is only the verdict."""
    assert explained(report(phase(), phase())) == []


def test_examples_and_failures_follow() -> None:
    """What was found against a run is spelled out, and so are the requests that failed."""
    bad = phase(
        findings=Findings(checked=9, stale=1, beyond=1, examples=["flight: the first finding"]), failed=1
    )
    assert list(examples(report(phase(), bad))) == ["flight: the first finding", "flight: refused"]
