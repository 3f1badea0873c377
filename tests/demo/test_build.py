"""The database file: what is in it, and that it is kept whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo import build as building
from cacheaside.demo.build import built_database, copy_database
from tests.demo.conftest import FLIGHTS, ID

if TYPE_CHECKING:
    from pathlib import Path

    from cacheaside.demo.dataset import Dataset


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which built databases are kept, away from the user's own."""
    monkeypatch.setattr(building, "_cache_folder", lambda: tmp_path / "kept")
    return tmp_path / "kept"


def test_rows_stand_as_of_the_start_of_the_replay(built: Path) -> None:
    """Flights that ended before the replay starts are in their last state, the others still scheduled."""
    status = dict(rows(built, "SELECT id, status FROM flights"))  # type: ignore[arg-type]
    assert status[ID["winter"]] == "arrived"
    assert status[ID["no plane"]] == "cancelled"  # at the very minute of the start
    assert {status[ID[name]] for name in ("island", "midnight", "cancelled", "lost")} == {"scheduled"}
    assert rows(built, "SELECT DISTINCT version FROM flights") == [(1,)]


def test_what_will_happen_is_kept_apart(built: Path) -> None:
    """The outcomes are in a table of their own, for every flight, and nothing is committed yet."""
    assert rows(built, "SELECT count(*) FROM outcomes") == [(len(FLIGHTS),)]
    assert rows(built, "SELECT (SELECT count(*) FROM commits) + (SELECT count(*) FROM history)") == [(0,)]


def test_progress_ends_with_the_number_of_flights(dataset: Dataset, tmp_path: Path) -> None:
    """Whoever shows progress hears of the last flight too."""
    heard: list[int] = []
    building.build(dataset, tmp_path / "x.sqlite3", heard.append)
    assert heard[-1] == len(FLIGHTS)


def test_a_built_database_is_kept_for_the_next_run(
    dataset: Dataset, cache_home: Path, tmp_path: Path
) -> None:
    """The second run finds what the first one built, and reads no row."""
    first = built_database(dataset, tmp_path, lambda flights: None)
    assert first.parent == cache_home

    def unexpected(flights: int) -> None:
        pytest.fail("built again")

    assert built_database(dataset, tmp_path, unexpected) == first


def test_an_interrupted_build_leaves_nothing(dataset: Dataset, cache_home: Path, tmp_path: Path) -> None:
    """Ctrl-C during the build leaves no file behind, whole or in part, and the next run builds anew."""

    def interrupt(flights: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built_database(dataset, tmp_path, interrupt)
    assert list(cache_home.iterdir()) == []
    assert built_database(dataset, tmp_path, lambda flights: None).is_file()


def test_without_a_cache_directory_it_is_built_for_this_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache directory that cannot be made is no error: the file goes into the run's own folder."""
    (tmp_path / "a file").touch()
    monkeypatch.setattr(building, "_cache_folder", lambda: tmp_path / "a file" / "below")
    assert built_database(dataset, tmp_path, lambda flights: None).parent == tmp_path


def test_each_side_gets_a_copy_of_its_own(built: Path, tmp_path: Path) -> None:
    """What is written to one copy is neither in the other nor in the built file."""
    one, other = copy_database(built, tmp_path / "one"), copy_database(built, tmp_path / "other")
    with closing(sqlite3.connect(one)) as connection, connection:
        connection.execute("DELETE FROM flights")
    counted = [rows(path, "SELECT count(*) FROM flights") for path in (one, other, built)]
    assert counted == [[(0,)], [(len(FLIGHTS),)], [(len(FLIGHTS),)]]
