"""The SQL behind each answer, on the excerpt of the real rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.database import connect
from cacheaside.demo.views import Weather, select_board, select_flight, select_plane
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = date(2013, 6, 28)
SIX_O_CLOCK = datetime(2013, 6, 28, 10, tzinfo=UTC)


@pytest.fixture
def connection(built: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(built)) as connection:
        yield connection


def test_a_flight_comes_with_its_carrier_and_its_plane(connection: sqlite3.Connection) -> None:
    """One row, three tables, and the row version that it was built from."""
    view = select_flight(connection, ID["island"])
    assert view is not None
    assert (view.number, view.carrier, view.status) == ("B6 1403", "JetBlue Airways", "scheduled")
    assert view.aircraft is not None
    assert (view.aircraft.tailnum, view.aircraft.seats) == ("N821JB", 200)
    assert view.scheduled_departure == datetime(2013, 6, 28, 10, 11, tzinfo=UTC)
    assert view.versions == ((ID["island"], 1),)


def test_a_flight_without_a_known_plane_is_still_a_flight(connection: sqlite3.Connection) -> None:
    """A tail number that the registry does not know, or none at all, leaves the plane out."""
    unlisted, none = select_flight(connection, ID["pacific"]), select_flight(connection, ID["no plane"])
    assert unlisted is not None
    assert (unlisted.tailnum, unlisted.aircraft) == ("N392HA", None)
    assert none is not None
    assert (none.tailnum, none.aircraft, none.expected_arrival) == (None, None, None)


def test_an_unknown_flight_is_none(connection: sqlite3.Connection) -> None:
    """A number that no flight has gives no flight."""
    assert select_flight(connection, 0) is None


def test_a_board_lists_what_is_expected_in_its_hours(connection: sqlite3.Connection) -> None:
    """The departures of one airport in two hours, from the first second to before the last, with the hour's weather."""
    board = select_board(connection, "JFK", SIX_O_CLOCK)
    assert board is not None
    assert [line.number for line in board.departures] == ["B6 1403"]
    assert board.weather == Weather(71.96, 11.5078, 8.0)
    assert board.until == datetime(2013, 6, 28, 12, tzinfo=UTC)
    assert board.departures[0].destination == "SJU"  # not in the airports file
    newark = select_board(connection, "EWR", SIX_O_CLOCK)
    assert newark is not None
    assert [line.status for line in newark.departures] == ["cancelled"]
    assert newark.versions == ((ID["no plane"], 1),)


def test_a_delayed_flight_moves_to_a_later_board(connection: sqlite3.Connection) -> None:
    """A board goes by expected departures, so a flight put off leaves one board and joins another."""
    noon = datetime(2013, 6, 28, 16, tzinfo=UTC)
    connection.execute(
        "UPDATE flights SET expected_dep = ? WHERE id = ?", (int(noon.timestamp()), ID["island"])
    )
    before, after = select_board(connection, "JFK", SIX_O_CLOCK), select_board(connection, "JFK", noon)
    assert before is not None
    assert before.departures == ()
    assert after is not None
    assert [line.number for line in after.departures] == ["B6 1403", "B6 316", "B6 1338"]


def test_an_unknown_airport_is_none(connection: sqlite3.Connection) -> None:
    """An airport without departures has an empty board; an unknown one has none."""
    quiet = select_board(connection, "HNL", SIX_O_CLOCK)
    assert quiet is not None
    assert (quiet.departures, quiet.weather) == ((), None)
    assert select_board(connection, "ZZZ", SIX_O_CLOCK) is None


def test_a_plane_comes_with_its_legs_of_the_day(connection: sqlite3.Connection) -> None:
    """All flights of one plane on one day, in order, each with its row version."""
    plane = select_plane(connection, "N298JB", DAY)
    assert plane is not None
    assert [leg.number for leg in plane.legs] == ["B6 1634", "B6 316", "B6 1338"]
    assert plane.versions == tuple((ID[name], 1) for name in ("first leg", "second leg", "lost"))
    idle = select_plane(connection, "N298JB", date(2013, 6, 29))
    assert idle is not None
    assert idle.legs == ()


def test_an_unknown_plane_is_none(connection: sqlite3.Connection) -> None:
    """A tail number that flies but is not in the registry gives no plane."""
    assert select_plane(connection, "N392HA", DAY) is None
