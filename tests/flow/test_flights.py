"""Flights: at most one open per key, and a landing answers only whom it may."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.flow.flights import Flights, Landing, answers
from cacheaside.types import TagId

KEY, OTHER = TagId("key"), TagId("other")
TAG = TagId("tag")


def landing(*, moved: bool = False) -> Landing:
    return Landing("value", True, None, 0.0, {}, moved, None)


@pytest.fixture
def flights() -> Flights:
    return Flights(threading.RLock())


def test_the_first_leads_and_the_others_join(flights: Flights) -> None:
    """One flight a key: the first leads it, who comes while it is open joins it, another key has its own."""
    flight, leads = flights.board(KEY, (TAG,))
    assert leads
    assert flights.board(KEY, (TAG,)) == (flight, False)
    assert flights.board(OTHER, ())[1]
    assert flight.waiting == 2


def test_nobody_joins_a_closed_flight(flights: Flights) -> None:
    """After close, land or a change of its tags, the next caller leads a flight of its own."""
    for close in ("close", "land", "change"):
        flight, _ = flights.board(KEY, (TAG,))
        if close == "close":
            flights.close([flight])
        elif close == "land":
            flights.land(flight, None)
        else:
            flights.close_touching([OTHER, TAG])
        assert not flights.is_open(KEY), close
        again, leads = flights.board(KEY, (TAG,))
        assert leads, close
        assert again is not flight
        flights.land(again, None)
    assert len(flights) == 0


def test_a_change_of_other_tags_leaves_a_flight_open(flights: Flights) -> None:
    """Only the flights that loads of a changed tag are on are closed."""
    flights.board(KEY, (TAG,))
    flights.close_touching([OTHER])
    assert flights.is_open(KEY)


def test_landing_wakes_all_once_and_counts_once(flights: Flights) -> None:
    """Each waiter is woken once, by the first landing; a second is ignored; who comes later need not wait."""
    flight, _ = flights.board(KEY, ())
    woken: list[int] = []
    for number in range(3):
        assert flights.watch(flight, lambda number=number: woken.append(number))  # type: ignore[misc]
    first = landing()
    flights.land(flight, first)
    flights.land(flight, landing())
    assert woken == [0, 1, 2]
    assert flight.landing is first
    assert not flights.watch(flight, lambda: woken.append(9))


def test_the_last_who_leaves_closes(flights: Flights) -> None:
    """When nobody is left who waits, the flight is closed and may be stopped; a pinned one goes on."""
    flight, _ = flights.board(KEY, ())
    flights.board(KEY, ())
    assert not flights.leave(flight)
    assert flights.is_open(KEY)
    assert flights.leave(flight)
    assert not flights.is_open(KEY)
    pinned, _ = flights.board(OTHER, (), pinned=True)
    assert not flights.leave(pinned)
    assert flights.is_open(OTHER)


def test_leaving_a_landed_flight_stops_nothing(flights: Flights) -> None:
    """Who leaves after the landing has nothing to stop."""
    flight, _ = flights.board(KEY, ())
    flights.land(flight, landing())
    assert not flights.leave(flight)


def test_closing_one_flight_leaves_its_successor(flights: Flights) -> None:
    """A flight that lands late does not close the one that was opened for its key meanwhile."""
    old, _ = flights.board(KEY, ())
    flights.close([old])
    new, _ = flights.board(KEY, ())
    flights.land(old, landing())
    assert flights.board(KEY, ()) == (new, False)


def test_who_wants_the_source_joins_no_flight_that_may_land_with_what_is_stored(flights: Flights) -> None:
    """Such a read opens one of its own, which whoever comes after may join; the other lands for those on it."""
    usual, _ = flights.board(KEY, ())
    own, leads = flights.board(KEY, (), from_source=True)
    assert (leads, own is usual, usual.is_open) == (True, False, False)
    assert flights.board(KEY, (), from_source=True) == (own, False)
    assert flights.board(KEY, ()) == (own, False)
    flights.land(usual, landing())
    assert flights.is_open(KEY)


def test_nobody_joins_a_flight_for_one(flights: Flights) -> None:
    """A strong or nested load is nobody else's."""
    alone = flights.alone(KEY, ())
    assert not alone.is_open
    assert flights.board(KEY, ())[1]


@pytest.mark.parametrize(("moved", "early", "late"), [(False, True, True), (True, True, False)])
def test_whom_a_landing_answers(flights: Flights, moved: bool, early: bool, late: bool) -> None:
    """What moved answers only who arrived before the flight began; what held still answers everybody."""
    before = flights.moment()
    flight, _ = flights.board(KEY, ())
    after = flights.moment()
    assert answers(flight, landing(moved=moved), before) is early
    assert answers(flight, landing(moved=moved), after) is late


def test_after_a_fork_all_keys_are_free(flights: Flights) -> None:
    """What the parent has in the air is not joined in the child."""
    flights.board(KEY, ())
    flights.forget(threading.RLock())
    assert len(flights) == 0
    assert flights.board(KEY, ())[1]


def test_it_is_entered_again_from_a_finaliser() -> None:
    """What the collector runs on the thread that is in here may land and leave flights too."""
    lock = threading.RLock()
    flights = Flights(lock)
    flight, _ = flights.board(KEY, ())
    with lock:
        flights.land(flight, None)
    assert len(flights) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["board", "leave", "land", "close", "change"]), st.integers(0, 3)),
        max_size=60,
    )
)
def test_there_is_never_more_than_one_open_flight_a_key(steps: list[tuple[str, int]]) -> None:
    """Whatever is done in whatever order: an open flight is in the table and not landed, a landed one is in neither."""
    flights = Flights(threading.RLock())
    made = []
    for step, number in steps:
        key = TagId(str(number % 2))
        if step == "board":
            flight, leads = flights.board(key, (TAG,) if number > 1 else ())
            made += [flight] if leads else []
        elif step == "change":
            flights.close_touching([TAG])
        elif made:
            flight = made[number % len(made)]
            match step:
                case "leave" if flight.waiting > 0:
                    flights.leave(flight)
                case "land":
                    flights.land(flight, landing())
                case "close":
                    flights.close([flight])
        opened = [flight for flight in made if flight.is_open]
        assert len({flight.key for flight in opened}) == len(opened) == len(flights)
        assert not any(flight.landed for flight in opened)
