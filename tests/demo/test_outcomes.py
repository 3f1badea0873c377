"""What became of requests: answers with what they were built from, and failures, since the last pulse."""

from __future__ import annotations

import pytest

from cacheaside.demo.history import Range, Served
from cacheaside.demo.messages import Failure
from cacheaside.demo.outcomes import Outcomes

BOARD = (
    b'{"origin":"JFK","since":"1970-01-01T01:00:00Z","until":"1970-01-01T03:00:00Z","versions":[[1,2],[3,1]],'
    b'"departures":[]}'
)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


def test_an_answer_says_what_it_was_built_from_and_who_gave_it(outcomes: Outcomes) -> None:
    """Row versions, the range that a board claims, the process, and where it had the value from."""
    outcomes.answered("flight", 1.0, 1.5, 200, b'{"origin":"JFK","versions":[[7,2]]}', 2, "l2")
    outcomes.answered("board", 2.0, 2.5, 200, BOARD, 0, "l1")
    assert outcomes.pulse(1.0).served == [
        Served("flight", 1.0, 1.5, ((7, 2),), None, 2, "l2"),
        Served("board", 2.0, 2.5, ((1, 2), (3, 1)), Range("JFK", 3600, 10800), 0, "l1"),
    ]


def test_a_plane_that_nobody_knows_is_an_answer(outcomes: Outcomes) -> None:
    """No such row is an answer like any other, counted apart, with nothing in it to be compared."""
    outcomes.answered("plane", 1.0, 1.5, 404, b"{}", 1, "joined")
    pulse = outcomes.pulse(1.0)
    assert pulse.absent == 1
    assert pulse.served == [Served("plane", 1.0, 1.5, (), None, 1, "joined")]


def test_anything_else_is_a_failure(outcomes: Outcomes) -> None:
    """A status that is no answer, and a request without any, are failures at the time they were begun."""
    outcomes.answered("flight", 1.0, 1.5, 500, b"broken", 0, "source")
    outcomes.refused(2.0, "change: TimeoutError")
    pulse = outcomes.pulse(1.0)
    assert pulse.failures == [
        Failure(1.0, "flight: status 500: broken"),
        Failure(2.0, "change: TimeoutError"),
    ]
    assert pulse.served == []


def test_requests_for_one_path_overlap_while_the_first_is_under_way(outcomes: Outcomes) -> None:
    """What a cache would have loaded once is counted: a request that starts while another for the same path runs."""
    with outcomes.asking("/a"), outcomes.asking("/a"), outcomes.asking("/b"):
        pass
    with outcomes.asking("/a"):
        pass
    assert outcomes.pulse(1.0).overlapping == 1


def test_a_pulse_is_of_what_is_new(outcomes: Outcomes) -> None:
    """Nothing is told twice."""
    outcomes.answered("plane", 1.0, 1.5, 404, b"{}", 0, "source")
    outcomes.refused(1.0, "plane: refused")
    outcomes.pulse(1.0)
    pulse = outcomes.pulse(0.5)
    assert (pulse.span_s, pulse.absent, pulse.served, pulse.failures) == (0.5, 0, [], [])
