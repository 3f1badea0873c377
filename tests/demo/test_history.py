"""The history of row versions: complete and in order, or refused."""

from __future__ import annotations

import pytest

from cacheaside.demo.history import History, Range
from tests.demo.writing import written


def test_writes_come_after_the_version_they_supersede() -> None:
    """After a version come the writes that made later ones, in order; after the last comes none."""
    first, second = written(2, 10.0, 10.1), written(3, 20.0, 20.1)
    history = History([second, first])
    assert [list(history.after(1, version)) for version in (1, 2, 3)] == [[first, second], [second], []]
    assert list(history.after(99, 1)) == []


def test_a_range_is_asked_for_what_was_ever_in_its_hours() -> None:
    """Flights that some write put into the hours of a range are found, once each, and others of the airport are not."""
    history = History(
        [
            written(2, 10.0, 10.1, flight_id=1),
            written(3, 11.0, 11.1, flight_id=1, expected_dep=200),
            written(2, 12.0, 12.1, flight_id=2, expected_dep=9000),
            written(2, 13.0, 13.1, flight_id=3, origin="LGA"),
        ]
    )
    assert list(history.ever_in(Range("JFK", 0, 7200))) == [1]


def test_a_history_with_a_gap_is_refused() -> None:
    """A version missing between two others is an error, since nothing can be judged by such a history."""
    with pytest.raises(ValueError, match="jumps to version 3"):
        History([written(3, 10.0, 10.1)])


def test_a_history_out_of_order_is_refused() -> None:
    """A version committed before its predecessor is an error."""
    with pytest.raises(ValueError, match="before its predecessor"):
        History([written(2, 10.0, 10.1), written(3, 9.0, 9.1)])
