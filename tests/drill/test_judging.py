"""What is thought of a run."""

from __future__ import annotations

import pytest

from cacheaside.drill.judging import compared
from cacheaside.drill.report import Report
from tests.drill.runs import BEFORE_S, DEAD, GOOD, report_of


def held(report: Report, words: str) -> bool | None:
    (finding,) = [one for one in report.findings if words in one.rule]
    return finding.held


def test_a_run_that_recovers_in_time_held() -> None:
    """Every promise kept, and the fault seen: held."""
    report = report_of(GOOD, cold_s=1.0)
    assert report.verdict == "held"
    assert report.recovery_s == pytest.approx(1.0, abs=0.3)
    assert report.hot_keys == 40
    assert report.ideal_s == pytest.approx(0.5)


def test_a_run_that_stays_dead_did_not_recover() -> None:
    """Callers who give up for ever are no recovery."""
    report = report_of(DEAD)
    assert (report.verdict, report.recovery_s) == ("broken", None)
    assert held(report, "recovers") is False


def test_the_lucky_few_are_no_recovery() -> None:
    """Right after a fault only hits have ended, and everybody else still waits: what ended is not what came."""
    told = report_of([(BEFORE_S, "l1"), (3.0, "l1"), (5.0, "late")])
    assert told.recovered_at is not None  # as all who came were answered
    from cacheaside.drill.drills import DRILLS
    from cacheaside.drill.judging import judged
    from cacheaside.drill.settings import Settings
    from tests.drill.runs import told_of

    silent = told_of([(BEFORE_S, "l1"), (3.0, "l1"), (5.0, "late")])
    silent.record.came[:] = [(at, came if at < BEFORE_S else came * 3) for at, came in silent.record.came]
    assert judged(DRILLS["flush"], Settings(), silent).recovered_at is None


def test_too_many_at_once_is_a_broken_promise() -> None:
    """One query more than the limit, once, and the verdict says so."""
    assert held(report_of(GOOD, running=8, cold_s=1.0), "at once") is True
    broken = report_of(GOOD, running=9, cold_s=1.0)
    assert held(broken, "at once") is False
    assert broken.verdict == "broken"


def test_a_source_that_idles_while_all_wait_for_it_is_broken() -> None:
    """Nine tenths of its capacity while more is wanted; less is a broken promise."""
    slow = [(BEFORE_S, "l1"), (4.0, "refused"), (6.0, "l1")]
    assert held(report_of(slow, queries=80.0, cold_s=4.0), "at its capacity") is True  # type: ignore[arg-type]
    assert held(report_of(slow, queries=60.0, cold_s=4.0), "at its capacity") is False  # type: ignore[arg-type]


def test_a_source_that_works_for_nobody_is_found() -> None:
    """At full capacity, for callers who have all given up: busy is not useful."""
    late = report_of([(BEFORE_S, "l1"), (6.0, "late"), (6.0, "l1")], queries=80.0, cold_s=6.0)
    assert held(late, "at its capacity") is True
    assert held(late, "still wait") is False
    fine = report_of([(BEFORE_S, "l1"), (6.0, "source"), (6.0, "l1")], queries=80.0, cold_s=6.0)
    assert held(fine, "still wait") is True


def test_one_stale_answer_breaks() -> None:
    """There is no share of stale answers that is fine."""
    assert held(report_of(GOOD, stale=1, cold_s=1.0), "older") is False


def test_late_recovery_is_broken() -> None:
    """Recovered, but after more than one and a half times what loading every hot key takes, and the slack."""
    late = [(BEFORE_S, "l1"), (4.0, "refused"), (6.0, "l1")]
    report = report_of(late, cold_s=4.0)  # type: ignore[arg-type]
    assert report.budget_s == pytest.approx(1.5 * 0.5 + 1.0)
    assert held(report, "recovers") is False


def test_a_fault_that_did_not_happen_shows_nothing() -> None:
    """However well everything went: nothing was tried."""
    assert report_of(GOOD, happened=False, cold_s=1.0).verdict == "not shown"


def test_a_drill_that_was_called_off_says_so() -> None:
    """Its verdict is that, whatever else was seen."""
    assert report_of(GOOD, aborted="too many errors").verdict == "aborted"


def test_both_sides_are_compared() -> None:
    """Shown is the metastable case only when the one recovered and the other did not."""
    good, dead = report_of(GOOD, cold_s=1.0), report_of(DEAD)
    assert compared("", "", good, dead).shown
    assert not compared("", "", good, good).shown
    assert not compared("", "", dead, dead).shown
