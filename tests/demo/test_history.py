"""The check of staleness: what it must find, what it must allow, and when it must not be trusted."""

from __future__ import annotations

import pytest

from cacheaside.demo.history import Allowance, Findings, History, Range, Served, Written, check

STRICT = {"flight": Allowance(0.0, 60.0), "board": Allowance(0.0, 60.0)}
JFK_MORNING = Range("JFK", 0, 7200)


def written(
    version: int,
    committed_at: float,
    acknowledged_at: float | None,
    *,
    flight_id: int = 1,
    expected_dep: int = 100,
    origin: str = "JFK",
) -> Written:
    return Written(flight_id, version, origin, expected_dep, committed_at, acknowledged_at)


def served(
    started_at: float, *versions: tuple[int, int], lasting: float = 0.01, listing: Range | None = None
) -> Served:
    return Served("board" if listing else "flight", started_at, started_at + lasting, versions, listing)


def judged(history: list[Written], *responses: Served, allowed: dict[str, Allowance] = STRICT) -> Findings:
    return check(History(history), responses, allowed)


def test_the_current_version_is_no_finding() -> None:
    """A response that shows what was written last has nothing to be said against it."""
    findings = judged([written(2, 10.0, 10.1)], served(5.0, (1, 1)), served(11.0, (1, 2)))
    assert (findings.checked, findings.versions) == (2, 2)
    assert (findings.stale, findings.in_commit, findings.impossible, findings.examples) == (0, 0, 0, [])


def test_an_acknowledged_change_that_is_not_shown_is_a_stale_serve() -> None:
    """A version superseded by a change acknowledged before the request started is stale, and beyond the contract."""
    findings = judged([written(2, 10.0, 10.1)], served(12.1, (1, 1)))
    assert (findings.stale, findings.beyond) == (1, 1)
    assert findings.oldest_s == pytest.approx(2.0)
    assert findings.examples == [
        "flight: not yet version 2 of flight 1, acknowledged 2000.0 ms before the request"
    ]


def test_one_row_among_many_is_enough() -> None:
    """A response built from many rows is stale when one of them is."""
    findings = judged([written(2, 10.0, 10.1)], served(12.0, (8, 1), (1, 1), (9, 1)))
    assert findings.stale == 1


def test_age_counts_from_the_first_change_that_was_missed() -> None:
    """Of several changes missed, the one acknowledged first says how old the response is."""
    history = [written(2, 10.0, 10.1), written(3, 20.0, 20.1)]
    assert judged(history, served(21.1, (1, 1))).oldest_s == pytest.approx(11.0)
    assert judged(history, served(21.1, (1, 2))).oldest_s == pytest.approx(1.0)


def test_a_change_under_way_may_show_either_version() -> None:
    """Between commit and acknowledgement the old version is allowed, and counted apart."""
    findings = judged([written(2, 10.0, 10.5)], served(10.2, (1, 1)), served(10.2, (1, 2)))
    assert (findings.stale, findings.beyond, findings.in_commit) == (0, 0, 1)


def test_a_request_that_started_before_the_acknowledgement_may_show_the_old_version() -> None:
    """The moment that counts is when the request started, however late its answer came."""
    findings = judged([written(2, 10.0, 10.5)], served(9.9, (1, 1), lasting=5.0))
    assert (findings.stale, findings.in_commit) == (0, 0)


def test_a_contract_that_allows_staleness_is_heard() -> None:
    """Within stale_after_invalidation a stale serve counts as stale, not as beyond the contract."""
    allowed = {"flight": Allowance(3.0, 60.0)}
    findings = judged([written(2, 10.0, 10.1)], served(12.0, (1, 1)), served(14.0, (1, 1)), allowed=allowed)
    assert (findings.stale, findings.beyond) == (2, 1)


def test_a_change_without_acknowledgement_is_bounded_by_ttl_and_grace() -> None:
    """When a writer died in its bracket, the old version is allowed for ttl + grace after the commit, and no longer."""
    history = [written(2, 10.0, None)]
    within, after = judged(history, served(69.0, (1, 1))), judged(history, served(71.0, (1, 1)))
    assert (within.stale, within.in_commit, within.beyond) == (0, 1, 0)
    assert (after.stale, after.in_commit, after.beyond) == (0, 1, 1)


def test_a_later_acknowledgement_counts_when_an_earlier_one_never_came() -> None:
    """A response that misses both changes is stale by the acknowledged one, though it was not the first."""
    findings = judged([written(2, 10.0, None), written(3, 20.0, 20.5)], served(21.5, (1, 1)))
    assert (findings.stale, findings.oldest_s) == (1, pytest.approx(1.0))


def test_a_flight_missing_from_a_list_is_a_stale_serve() -> None:
    """A list that lacks a flight which had moved into its hours, acknowledged, is stale: no version of it says so."""
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


def test_a_history_with_a_gap_is_refused() -> None:
    """A version missing between two others is an error, since nothing can be judged by such a history."""
    with pytest.raises(ValueError, match="jumps to version 3"):
        History([written(3, 10.0, 10.1)])


def test_a_history_out_of_order_is_refused() -> None:
    """A version committed before its predecessor is an error."""
    with pytest.raises(ValueError, match="before its predecessor"):
        History([written(2, 10.0, 10.1), written(3, 9.0, 9.1)])


def test_a_few_findings_stand_for_all() -> None:
    """Every finding is counted, and only the first few are spelled out."""
    findings = judged([written(2, 10.0, 10.1)], *[served(12.0, (1, 1))] * 50)
    assert findings.stale == 50
    assert len(findings.examples) == 5
