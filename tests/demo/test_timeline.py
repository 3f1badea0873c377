"""What is announced of a flight, when; and which airport is held."""

from __future__ import annotations

import pytest

from cacheaside.demo.timeline import Change, Hold, Movement, Sky, changes, holds, state_at

HOUR = 3600


def movement(departed_at: int | None, arrived_at: int | None) -> Movement:
    return Movement(
        flight_id=7, sched_dep=1000, sched_arr=9000, departed_at=departed_at, arrived_at=arrived_at
    )


def test_a_flight_on_time_departs_and_arrives() -> None:
    """A punctual flight changes twice."""
    assert changes(movement(1060, 8900)) == (
        Change(1060, 7, "departed", 1060, 8900),
        Change(8900, 7, "arrived", 1060, 8900),
    )


def test_a_late_flight_is_announced_as_delayed_first() -> None:
    """A delay of fifteen minutes or more is announced at the scheduled time, with the departure that came of it."""
    assert [(c.at, c.status, c.expected_dep) for c in changes(movement(1000 + 900, 9500))] == [
        (1000, "delayed", 1900),
        (1900, "departed", 1900),
        (9500, "arrived", 1900),
    ]
    assert changes(movement(1000 + 899, 9500))[0].status == "departed"


def test_a_flight_that_never_left_is_cancelled_when_it_was_due() -> None:
    """A flight without a departure is cancelled at its scheduled time, and nothing follows."""
    assert changes(movement(None, None)) == (Change(1000, 7, "cancelled", 1000, None),)


def test_an_unknown_end_leaves_the_flight_departed() -> None:
    """Without an arrival the flight stays departed, and its expected arrival moves with its departure."""
    assert changes(movement(1100, None)) == (Change(1100, 7, "departed", 1100, 9100),)


@pytest.mark.parametrize(("now", "status"), [(999, "scheduled"), (1060, "departed"), (8900, "arrived")])
def test_the_state_is_that_of_the_last_change(now: int, status: str) -> None:
    """At the very moment of a change the flight is in its new state."""
    assert state_at(movement(1060, 8900), now).status == status


def test_the_airport_with_the_worst_weather_is_held() -> None:
    """One hour after the start and every third hour, the least visibility decides, then the wind."""
    skies = [
        Sky("EWR", HOUR, 10.0, 30.0),
        Sky("JFK", HOUR, 2.0, 5.0),
        Sky("LGA", HOUR, 2.0, 9.0),
        Sky("EWR", 4 * HOUR, 1.0, 0.0),
        Sky("EWR", 2 * HOUR, 0.0, 99.0),
    ]
    assert holds(skies, 0, 5 * HOUR) == (Hold(HOUR, "LGA"), Hold(4 * HOUR, "EWR"))


def test_nobody_is_held_without_an_observation() -> None:
    """An hour without weather holds nobody."""
    assert holds([], 0, 24 * HOUR) == ()
