"""What the readers ask for: drawn from a seed, so that both sides of the comparison are asked for the same."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from random import Random
from typing import Any, Final
from urllib.parse import quote

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.dataset import new_york_day
from cacheaside.demo.popularity import Zipf

__all__ = ["EXPONENT", "Demand"]

EXPONENT: Final = 0.99
"""Of Zipf's law; the value that YCSB made customary."""

_FLIGHT_SHARE: Final = 0.60
_BOARD_SHARE: Final = 0.25  # the rest asks for planes
_DAYS_AROUND: Final = 3


class Demand:
    """What the readers ask for: the same sequence for the same seed and database.

    They ask for the flights of the replayed day and the three days either side, for the planes that fly them, and
    for the boards of the three airports; which of each is popular is drawn from the seed. One tail number in six
    is unknown to the registry, and is asked for like the others.
    """

    def __init__(self, connection: sqlite3.Connection, seed: int) -> None:
        self._random = Random(seed)
        today = new_york_day(REPLAY_START)
        week = [(today + timedelta(days)).isoformat() for days in (-_DAYS_AROUND, _DAYS_AROUND)]
        where = "FROM flights WHERE day BETWEEN ? AND ?"
        self._flights = self._zipf(connection.execute(f"SELECT id {where} ORDER BY 1", week))
        tails = f"SELECT DISTINCT tailnum {where} AND tailnum IS NOT NULL ORDER BY 1"
        self._planes = self._zipf(connection.execute(tails, week))
        self._origins = self._zipf(connection.execute(f"SELECT DISTINCT origin {where} ORDER BY 1", week))

    def draw(self) -> tuple[str, str]:
        """An endpoint's name and the path to ask for."""
        share = self._random.random()
        if share < _FLIGHT_SHARE:
            return "flight", f"/flights/{self._flights.draw()}"
        if share < _FLIGHT_SHARE + _BOARD_SHARE:
            return "board", f"/airports/{self._origins.draw()}/departures"
        return "plane", f"/planes/{quote(self._planes.draw())}"

    def share(self) -> float:
        """A share of anything, from 0 to 1: so that readers do not all begin at once."""
        return self._random.random()

    def _zipf(self, rows: sqlite3.Cursor) -> Zipf[Any]:
        things = [row[0] for row in rows]
        self._random.shuffle(things)
        return Zipf(things, EXPONENT, self._random)
