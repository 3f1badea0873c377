"""What the readers ask for."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from cacheaside.demo.database import connect
from cacheaside.demo.demand import Demand
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_seed_asks_for_the_same(built: Path, seed: int) -> None:
    """Both phases are asked for the same things in the same order."""
    with closing(connect(built)) as connection:
        one, other = Demand(connection, seed), Demand(connection, seed)
    assert [one.draw() for _ in range(200)] == [other.draw() for _ in range(200)]


def test_readers_ask_for_the_days_around_the_replayed_one(built: Path, seed: int) -> None:
    """All endpoints are asked, for nothing but flights of that week, their planes and their airports."""
    with closing(connect(built)) as connection:
        demand = Demand(connection, seed)
    asked = [demand.draw() for _ in range(3000)]
    assert min(Counter(endpoint for endpoint, _ in asked).values()) > 300
    week = {f"/flights/{number}" for name, number in ID.items() if name != "winter"}
    assert {path for endpoint, path in asked if endpoint == "flight"} == week
    assert {path for endpoint, path in asked if endpoint == "board"} == {
        "/airports/EWR/departures",
        "/airports/JFK/departures",
    }
    assert "/planes/N14228" not in {path for _, path in asked}
