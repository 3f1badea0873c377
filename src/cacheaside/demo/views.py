"""What the service answers with, and the SQL behind each answer. Nothing here knows of a cache.

Frozen Structs of immutable fields: a cache may hand the same object to every caller. `versions` names the row
versions that an answer was built from, so that its age can be checked against the database's history.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from typing import Final

from msgspec import Struct

from cacheaside.demo.timeline import Status

__all__ = ["Aircraft", "Board", "Departure", "FlightView", "Leg", "PlaneView", "Weather", "select_board"]
__all__ += ["BOARD_AHEAD_S", "Versions", "select_flight", "select_plane"]

Versions = tuple[tuple[int, int], ...]
"""Pairs of flight id and row version."""

BOARD_AHEAD_S: Final = 2 * 3600
"""How far a departures board looks ahead."""


class Aircraft(Struct, frozen=True):
    """What the registry says of a plane."""

    tailnum: str
    built: int | None
    manufacturer: str
    model: str
    seats: int


class FlightView(Struct, frozen=True):
    """A flight with its carrier and its plane."""

    flight_id: int
    number: str
    carrier: str
    origin: str
    destination: str
    distance_miles: int
    status: Status
    scheduled_departure: datetime
    expected_departure: datetime
    expected_arrival: datetime | None
    tailnum: str | None
    aircraft: Aircraft | None
    versions: Versions


class Departure(Struct, frozen=True):
    """One line of a departures board."""

    flight_id: int
    number: str
    carrier: str
    destination: str
    status: Status
    scheduled: datetime
    expected: datetime


class Weather(Struct, frozen=True):
    """The hour's observation at an airport."""

    temperature_f: float | None
    wind_mph: float | None
    visibility_miles: float | None


class Board(Struct, frozen=True):
    """The departures expected from an airport in `[since, until)`."""

    origin: str
    airport: str
    since: datetime
    until: datetime
    weather: Weather | None
    departures: tuple[Departure, ...]
    versions: Versions


class Leg(Struct, frozen=True):
    """One flight of a plane's day."""

    flight_id: int
    number: str
    origin: str
    destination: str
    status: Status
    expected_departure: datetime


class PlaneView(Struct, frozen=True):
    """A plane with the flights it has on one day."""

    aircraft: Aircraft
    day: date
    legs: tuple[Leg, ...]
    versions: Versions


_FLIGHT: Final = """
SELECT f.id, f.carrier || ' ' || f.number, a.name, f.origin, f.destination, f.distance_miles, f.status,
       f.sched_dep, f.expected_dep, f.expected_arr, f.tailnum, f.version,
       p.tailnum, p.built, p.manufacturer, p.model, p.seats
FROM flights f JOIN airlines a ON a.code = f.carrier LEFT JOIN planes p ON p.tailnum = f.tailnum
WHERE f.id = ?
"""

_AIRPORT: Final = "SELECT name FROM airports WHERE code = ?"

_WEATHER: Final = """
SELECT temperature_f, wind_mph, visibility_miles FROM weather WHERE origin = ? AND hour = ?
"""

_DEPARTURES: Final = """
SELECT f.id, f.carrier || ' ' || f.number, a.name, coalesce(d.name, f.destination), f.status,
       f.sched_dep, f.expected_dep, f.version
FROM flights f JOIN airlines a ON a.code = f.carrier LEFT JOIN airports d ON d.code = f.destination
WHERE f.origin = ? AND f.expected_dep >= ? AND f.expected_dep < ?
ORDER BY f.expected_dep, f.id
"""

_PLANE: Final = "SELECT tailnum, built, manufacturer, model, seats FROM planes WHERE tailnum = ?"

_LEGS: Final = """
SELECT id, carrier || ' ' || number, origin, destination, status, expected_dep, version
FROM flights WHERE tailnum = ? AND day = ? ORDER BY sched_dep, id
"""


def select_flight(connection: sqlite3.Connection, flight_id: int) -> FlightView | None:
    """The flight, or None when there is none of this id. One query."""
    row = connection.execute(_FLIGHT, (flight_id,)).fetchone()
    if row is None:
        return None
    return FlightView(
        flight_id=row[0],
        number=row[1],
        carrier=row[2],
        origin=row[3],
        destination=row[4],
        distance_miles=row[5],
        status=row[6],
        scheduled_departure=_moment(row[7]),
        expected_departure=_moment(row[8]),
        expected_arrival=None if row[9] is None else _moment(row[9]),
        tailnum=row[10],
        aircraft=None if row[12] is None else Aircraft(*row[12:17]),
        versions=((row[0], row[11]),),
    )


def select_board(connection: sqlite3.Connection, origin: str, since: datetime) -> Board | None:
    """The board that begins at the hour `since`, or None for an unknown airport. Three queries."""
    airport = connection.execute(_AIRPORT, (origin,)).fetchone()
    if airport is None:
        return None
    start = int(since.timestamp())
    until = start + BOARD_AHEAD_S
    weather = connection.execute(_WEATHER, (origin, start)).fetchone()
    rows = connection.execute(_DEPARTURES, (origin, start, until)).fetchall()
    return Board(
        origin=origin,
        airport=airport[0],
        since=since,
        until=_moment(until),
        weather=None if weather is None else Weather(*weather),
        departures=tuple(_departure(*row) for row in rows),
        versions=tuple((row[0], row[7]) for row in rows),
    )


def select_plane(connection: sqlite3.Connection, tailnum: str, day: date) -> PlaneView | None:
    """The plane and its legs on `day`, or None when the registry does not know it. Two queries."""
    plane = connection.execute(_PLANE, (tailnum,)).fetchone()
    if plane is None:
        return None
    rows = connection.execute(_LEGS, (tailnum, day.isoformat())).fetchall()
    return PlaneView(
        aircraft=Aircraft(*plane),
        day=day,
        legs=tuple(_leg(*row) for row in rows),
        versions=tuple((row[0], row[6]) for row in rows),
    )


def _departure(
    flight_id: int,
    number: str,
    carrier: str,
    destination: str,
    status: Status,
    scheduled: int,
    expected: int,
    _version: int,
) -> Departure:
    return Departure(flight_id, number, carrier, destination, status, _moment(scheduled), _moment(expected))


def _leg(
    flight_id: int, number: str, origin: str, destination: str, status: Status, expected: int, _version: int
) -> Leg:
    return Leg(flight_id, number, origin, destination, status, _moment(expected))


def _moment(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
