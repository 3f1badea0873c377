"""The demo's database file: built once from the rows as of the moment the replay starts, then copied per run.

The built file is kept in the user's cache directory under the package's version and a digest of what made it.
It appears there whole or not at all: it is written beside its place under another name, and renamed when
complete.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from cacheaside.demo.dataset import Dataset, FlightRow
from cacheaside.demo.timeline import Movement, state_at

__all__ = ["REPLAY_START", "build", "built_database", "copy_database"]

REPLAY_START: Final = int(datetime(2013, 6, 28, 10, tzinfo=UTC).timestamp())
"""Six in the morning in New York, before a day of thunderstorms: 1,002 flights, 123 of them cancelled."""

_ROWS_PER_STEP: Final = 20_000
_ABANDONED_AFTER_S: Final = 3600

_TABLES: Final = """
CREATE TABLE airlines (code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE airports (code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE planes (
  tailnum TEXT PRIMARY KEY, built INTEGER, manufacturer TEXT NOT NULL, model TEXT NOT NULL,
  engines INTEGER NOT NULL, seats INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE weather (
  origin TEXT NOT NULL, hour INTEGER NOT NULL, temperature_f REAL, wind_mph REAL, visibility_miles REAL,
  PRIMARY KEY (origin, hour)
) WITHOUT ROWID;

-- What the service reads and the writer changes. Instants are Unix time in seconds.
CREATE TABLE flights (
  id INTEGER PRIMARY KEY, carrier TEXT NOT NULL, number INTEGER NOT NULL, tailnum TEXT,
  origin TEXT NOT NULL, destination TEXT NOT NULL, distance_miles INTEGER NOT NULL, day TEXT NOT NULL,
  sched_dep INTEGER NOT NULL, sched_arr INTEGER NOT NULL,
  status TEXT NOT NULL, expected_dep INTEGER NOT NULL, expected_arr INTEGER, version INTEGER NOT NULL
);
-- What really happened to them; only the replay looks here.
CREATE TABLE outcomes (flight_id INTEGER PRIMARY KEY, departed_at INTEGER, arrived_at INTEGER);

-- Every commit and every row version it made, written in the same transaction; moments by the monotonic
-- clock.
CREATE TABLE commits (
  id INTEGER PRIMARY KEY, process INTEGER NOT NULL, committed_at REAL NOT NULL, done_at REAL, acknowledged_at REAL
);
CREATE TABLE history (
  flight_id INTEGER NOT NULL, version INTEGER NOT NULL, commit_id INTEGER NOT NULL,
  origin TEXT NOT NULL, expected_dep INTEGER NOT NULL, PRIMARY KEY (flight_id, version)
) WITHOUT ROWID;
"""

_INDEXES: Final = """
CREATE INDEX departures ON flights (origin, expected_dep);
CREATE INDEX legs ON flights (tailnum, day);
CREATE INDEX schedule ON flights (sched_dep);
"""

Progress = Callable[[int], None]


def built_database(dataset: Dataset, fallback: Path, progress: Progress) -> Path:
    """A complete database file: the one kept from an earlier run, or built now (a few seconds).

    Without a writable cache directory it is built in `fallback`. `progress` is told how many flights are in.
    """
    name = f"flights-{dataset.version}-{_recipe()}.sqlite3"
    for folder in (_cache_folder(), fallback):
        kept = folder / name
        if kept.is_file():
            return kept
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=folder)
        except OSError:
            continue
        os.close(handle)
        _build_in_place(dataset, Path(part), kept, progress)
        return kept
    raise OSError(f"no place to build the database: neither {_cache_folder()} nor {fallback} can be written")


def build(dataset: Dataset, path: Path, progress: Progress) -> None:
    """Write all rows to the database file `path`, with the status that each flight had at `REPLAY_START`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nothing to lose yet: an interrupted build is thrown away whole.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        _fill_small_tables(connection, dataset)
        _fill_flights(connection, dataset, progress)
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)
        connection.execute("ANALYZE")


def _build_in_place(dataset: Dataset, part: Path, kept: Path, progress: Progress) -> None:
    _remove_abandoned(kept)
    try:
        build(dataset, part, progress)
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(kept: Path) -> None:
    """A build that was killed could not remove its part; one as old as this is not being written any more."""
    for part in kept.parent.glob("flights-*.part"):
        try:
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink()
        except OSError:
            continue  # another run was faster


def _fill_small_tables(connection: sqlite3.Connection, dataset: Dataset) -> None:
    connection.executemany(
        "INSERT INTO airlines VALUES (?, ?)", ((a.code, a.name) for a in dataset.airlines())
    )
    connection.executemany(
        "INSERT INTO airports VALUES (?, ?)", ((a.code, a.name) for a in dataset.airports())
    )
    connection.executemany(
        "INSERT INTO planes VALUES (?, ?, ?, ?, ?, ?)",
        ((p.tailnum, p.built, p.manufacturer, p.model, p.engines, p.seats) for p in dataset.planes()),
    )
    connection.executemany(
        # The hour that the clocks repeat in November was observed twice.
        "INSERT OR IGNORE INTO weather VALUES (?, ?, ?, ?, ?)",
        ((w.origin, w.hour, w.temperature_f, w.wind_mph, w.visibility_miles) for w in dataset.weather()),
    )


def _fill_flights(connection: sqlite3.Connection, dataset: Dataset, progress: Progress) -> None:
    rows = dataset.flights()
    done = 0
    while step := list(islice(rows, _ROWS_PER_STEP)):
        connection.executemany(
            "INSERT INTO flights VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", _flight_values(step)
        )
        connection.executemany(
            "INSERT INTO outcomes VALUES (?, ?, ?)",
            ((f.flight_id, f.departed_at, f.arrived_at) for f in step),
        )
        done += len(step)
        progress(done)


def _flight_values(rows: list[FlightRow]) -> Iterator[tuple[object, ...]]:
    for f in rows:
        movement = Movement(f.flight_id, f.sched_dep, f.sched_arr, f.departed_at, f.arrived_at)
        now = state_at(movement, REPLAY_START)
        yield (
            *(f.flight_id, f.carrier, f.number, f.tailnum, f.origin, f.destination, f.distance_miles),
            *(f.day.isoformat(), f.sched_dep, f.sched_arr, now.status, now.expected_dep, now.expected_arr),
        )


def _recipe() -> str:
    """A digest of the code that decides what is in the file, so that another version builds its own."""
    sources = sorted(Path(__file__).with_name(name) for name in ("build.py", "dataset.py", "timeline.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cacheaside"


def copy_database(built: Path, folder: Path) -> Path:
    """A copy of the built file in the new `folder`, for one side's processes to write to."""
    folder.mkdir()
    return Path(shutil.copyfile(built, folder / "flights.sqlite3"))
