"""The check of staleness: what it must find, what it must allow, and when it must not be trusted."""

from __future__ import annotations

import pytest

from cacheaside.demo.history import History, Range, Served, Written
from cacheaside.demo.judgement import Findings, check
from cacheaside.demo.promises import Allowance, Outage, Promises
from tests.demo.writing import served, written

STRICT = {"flight": Allowance(0.0, 60.0), "board": Allowance(0.0, 60.0)}
JFK_MORNING = Range("JFK", 0, 7200)


def judged(
    history: list[Written],
    *responses: Served,
    allowed: dict[str, Allowance] = STRICT,
    outages: tuple[Outage, ...] = (),
) -> Findings:
    return check(History(history), responses, Promises(allowed, 2.0, outages))


def test_the_current_version_is_no_finding() -> None:
    """A response that shows what was written last has nothing to be said against it."""
    findings = judged([written(2, 10.0, 10.1)], served(5.0, (1, 1)), served(11.0, (1, 2)))
    assert (findings.checked, findings.versions) == (2, 2)
    assert (findings.stale, findings.in_commit, findings.impossible, findings.examples) == (0, 0, 0, [])


def test_a_change_that_was_done_and_is_not_shown_is_a_stale_serve() -> None:
    """A version superseded by a change that was done before the request started is stale, and beyond the contract."""
    findings = judged([written(2, 10.0, 10.1)], served(12.1, (1, 1)))
    assert (findings.stale, findings.beyond) == (1, 1)
    assert findings.oldest_s == pytest.approx(2.0)
    assert findings.examples == [
        (
            "flight: process 0 answered from the database, not yet version 2 of flight 1,"
            " done by process 0 2000.0 ms before the request, acknowledged 2000.0 ms before it"
        )
    ]


def test_one_row_among_many_is_enough() -> None:
    """A response built from many rows is stale when one of them is."""
    findings = judged([written(2, 10.0, 10.1)], served(12.0, (8, 1), (1, 1), (9, 1)))
    assert findings.stale == 1


def test_age_counts_from_the_first_change_that_was_missed() -> None:
    """Of several changes missed, the one that was done first says how old the response is."""
    history = [written(2, 10.0, 10.1), written(3, 20.0, 20.1)]
    assert judged(history, served(21.1, (1, 1))).oldest_s == pytest.approx(11.0)
    assert judged(history, served(21.1, (1, 2))).oldest_s == pytest.approx(1.0)


def test_a_change_under_way_may_show_either_version() -> None:
    """Between commit and the end of its block the old version is allowed, and counted apart."""
    findings = judged([written(2, 10.0, 10.5)], served(10.2, (1, 1)), served(10.2, (1, 2)))
    assert (findings.stale, findings.beyond, findings.in_commit) == (0, 0, 1)


def test_a_request_that_started_before_a_change_was_done_may_show_the_old_version() -> None:
    """The moment that counts is when the request started, however late its answer came."""
    findings = judged([written(2, 10.0, 10.5)], served(9.9, (1, 1), lasting=5.0))
    assert (findings.stale, findings.in_commit) == (0, 0)


def test_a_contract_that_allows_staleness_is_heard() -> None:
    """Within stale_after_invalidation a stale serve counts as stale, not as beyond the contract."""
    allowed = {"flight": Allowance(3.0, 60.0)}
    findings = judged([written(2, 10.0, 10.1)], served(12.0, (1, 1)), served(14.0, (1, 1)), allowed=allowed)
    assert (findings.stale, findings.beyond) == (2, 1)


def test_a_change_that_was_never_done_is_bounded_by_ttl_and_grace() -> None:
    """When a writer died in its bracket, the old version is allowed for ttl + grace after the commit, and no longer."""
    history = [written(2, 10.0, None)]
    within, after = judged(history, served(69.0, (1, 1))), judged(history, served(71.0, (1, 1)))
    assert (within.stale, within.in_commit, within.beyond) == (0, 1, 0)
    assert (after.stale, after.in_commit, after.beyond) == (1, 0, 1)
    assert "and never done" in after.examples[0]


def test_a_later_change_counts_when_an_earlier_one_was_never_done() -> None:
    """A response that misses both changes is stale by the one that was done, though it was not the first."""
    findings = judged([written(2, 10.0, None), written(3, 20.0, 20.5)], served(21.5, (1, 1)))
    assert (findings.stale, findings.oldest_s) == (1, pytest.approx(1.0))


def test_a_flight_missing_from_a_list_is_a_stale_serve() -> None:
    """A list that lacks a flight which had moved into its hours before is stale: no version of it says so."""
    moved_in = [written(2, 10.0, 10.1, expected_dep=9000), written(3, 20.0, 20.1, expected_dep=3600)]
    findings = judged(moved_in, served(22.1, (5, 1), listing=JFK_MORNING))
    assert (findings.stale, findings.beyond) == (1, 1)
    assert findings.oldest_s == pytest.approx(2.0)


def test_a_list_need_not_show_what_is_not_in_its_range() -> None:
    """Flights of another airport, of other hours, or that moved out again are not missed."""
    history = [
        written(2, 10.0, 10.1, flight_id=1, origin="LGA"),
        written(2, 10.0, 10.1, flight_id=2, expected_dep=7200),
        written(2, 10.0, 10.1, flight_id=3),
        written(3, 11.0, 11.1, flight_id=3, expected_dep=8000),
    ]
    assert judged(history, served(22.0, listing=JFK_MORNING)).stale == 0


def test_a_list_may_miss_a_flight_that_was_just_leaving_its_range() -> None:
    """While a change moves a flight out of the range, a list may be built from either side of it."""
    history = [written(2, 10.0, 10.1), written(3, 20.005, 20.5, expected_dep=8000)]
    assert judged(history, served(20.0, listing=JFK_MORNING)).stale == 0
    assert judged(history, served(19.9, listing=JFK_MORNING)).stale == 1


def test_the_age_of_a_missing_flight_counts_from_when_it_came_to_stay() -> None:
    """A flight that has been in the range for several versions was missed since the first of them."""
    history = [
        written(2, 10.0, 10.5, expected_dep=9000),
        written(3, 20.0, 20.5),
        written(4, 30.0, 30.5),
    ]
    assert judged(history, served(31.5, listing=JFK_MORNING)).oldest_s == pytest.approx(11.0)


@pytest.mark.parametrize("version", [0, 3, 99])
def test_a_version_that_nobody_wrote_voids_the_verdict(version: int) -> None:
    """A version outside the history is counted as impossible, not as fresh."""
    assert judged([written(2, 10.0, 10.1)], served(12.0, (1, version))).impossible == 1


def test_a_version_from_the_future_voids_the_verdict() -> None:
    """A version committed after the response had arrived means that the history's moments are wrong."""
    assert judged([written(2, 10.0, 10.1)], served(5.0, (1, 2))).impossible == 1


def test_a_few_findings_stand_for_all() -> None:
    """Every finding is counted, and only the first few are spelled out."""
    findings = judged([written(2, 10.0, 10.1)], *[served(12.0, (1, 1))] * 50)
    assert findings.stale == 50
    assert len(findings.examples) == 5


def test_what_another_process_has_not_heard_of_is_counted_apart() -> None:
    """Behind another process's change by less than `max_unsynced`, L1 is stale and within what is promised."""
    history = [written(2, 10.0, 10.1, process=1)]
    findings = judged(
        history,
        served(10.4, (1, 1), source="l1"),
        served(11.1, (1, 1), source="l1"),
        served(12.2, (1, 1), source="l1"),
    )
    assert (findings.stale, findings.behind, findings.beyond, findings.own) == (3, 2, 1, 0)
    assert findings.behind_s == pytest.approx(1.0)


def test_what_is_owed_is_counted_apart() -> None:
    """Before the tier acknowledged a change another process may miss it, and its age counts from when it was done."""
    history = [written(2, 10.0, 10.1, process=1, acknowledged_at=13.0)]
    findings = judged(history, served(12.1, (1, 1), source="l2"), served(12.6, (1, 1), source="l1"))
    assert (findings.stale, findings.owed, findings.beyond) == (2, 2, 0)
    assert findings.owed_s == pytest.approx(2.5)


def test_one_change_too_late_outweighs_others_that_may_be_missed() -> None:
    """A response that misses several changes is beyond the contract when it may not miss one of them."""
    history = [
        written(2, 10.0, 10.1, process=1, flight_id=1),
        written(2, 14.0, 14.1, process=1, flight_id=2, acknowledged_at=None),
    ]
    findings = judged(history, served(14.5, (1, 1), (2, 1), source="l1"))
    assert (findings.stale, findings.owed, findings.beyond) == (1, 0, 1)


def test_a_process_behind_its_own_change_is_named() -> None:
    """The worst of findings, a process that misses what it changed itself, is counted by itself too."""
    findings = judged([written(2, 10.0, 10.1, process=1)], served(10.2, (1, 1), process=1, source="l1"))
    assert (findings.beyond, findings.own) == (1, 1)


def test_a_list_may_lack_what_its_process_has_not_heard_of() -> None:
    """What moved into a list's hours by another process's change may be lacking as long as any change may be missed."""
    history = [
        written(2, 10.0, 10.1, process=1, expected_dep=9000),
        written(3, 20.0, 20.1, process=1, expected_dep=3600),
    ]
    lists = [served(at, (5, 1), listing=JFK_MORNING, source="l1") for at in (21.0, 22.2)]
    findings = judged(history, *lists)
    assert (findings.behind, findings.beyond) == (1, 1)


def test_an_answer_from_l1_out_of_touch_is_found_though_it_is_right() -> None:
    """While the tier is away L1 has to fall silent; that it happened to be right is no excuse."""
    frozen = Outage(10.0, emptied=False, returned_at=15.0)
    findings = judged([], served(13.0, (1, 1), source="l1"), outages=(frozen,))
    assert (findings.alone, findings.stale) == (1, 0)
    assert "answered from L1 while the shared tier was away" in findings.examples[0]


def test_an_answer_that_there_is_no_such_row_has_nothing_to_be_compared() -> None:
    """What shows no row and claims to be no list is not counted as checked."""
    assert judged([], served(10.0), served(10.0, listing=JFK_MORNING)).checked == 1


def test_findings_add_up() -> None:
    """Findings of several stages together: counts are summed, ages are the greatest, examples stay few."""
    history = [written(2, 10.0, 10.1, process=1)]
    one = judged(history, *[served(10.4, (1, 1), source="l1"), served(13.0, (1, 1))] * 3)
    other = judged(history, *[served(11.1, (1, 1), source="l1"), served(19.1, (1, 9))] * 3)
    one.add(other)
    assert (one.checked, one.versions, one.stale, one.beyond, one.behind, one.impossible) == (
        12,
        12,
        9,
        3,
        6,
        3,
    )
    assert (one.behind_s, one.oldest_s) == (pytest.approx(1.0), pytest.approx(2.9))
    assert len(one.examples) == 5
