"""How the room is divided."""

from __future__ import annotations

from cacheaside.stores.l1.balance import (
    EXPLORE,
    LATELY,
    SHARE_AT_START,
    SHARE_MAX,
    SHARE_MIN,
    Balance,
)
from cacheaside.stores.l1.ghosts import MAIN, PROBATION

ENTRIES = 1600
GHOSTS = 1200
PART = 1 / ENTRIES


def test_probation_grows_when_its_keys_come_back() -> None:
    """A key back from probation goes to main, and gives probation more room, up to a bound."""
    balance = Balance()
    balance.evicted(PROBATION, ENTRIES, GHOSTS)
    assert balance.came_back(PROBATION, PART, ENTRIES)
    assert balance.share > SHARE_AT_START
    for _ in range(10 * ENTRIES):
        balance.came_back(PROBATION, PART, ENTRIES)
    assert balance.share == SHARE_MAX


def test_probation_gives_way_when_keys_of_main_come_back() -> None:
    """A key back from main takes room from probation, down to a bound."""
    balance = Balance()
    for _ in range(ENTRIES):
        balance.evicted(MAIN, ENTRIES, GHOSTS)
    assert balance.came_back(MAIN, PART, ENTRIES)
    assert balance.share < SHARE_AT_START
    for _ in range(ENTRIES):
        balance.came_back(MAIN, PART, ENTRIES)
    assert balance.share == SHARE_MIN


def test_the_rarer_evidence_moves_the_boundary_further() -> None:
    """With few ghosts of probation among many of main, one of the former moves the boundary by more."""
    few, many = Balance(), Balance()
    for _ in range(100):
        few.evicted(MAIN, ENTRIES, GHOSTS)
        many.evicted(PROBATION, ENTRIES, GHOSTS)
    few.came_back(PROBATION, PART, ENTRIES)
    many.came_back(PROBATION, PART, ENTRIES)
    assert few.share - SHARE_AT_START > 50 * (many.share - SHARE_AT_START)


def test_the_brake_holds_keys_back_while_main_thrashes() -> None:
    """While most that main evicted came back, of the keys that come back one in EXPLORE goes to main."""
    balance = Balance()
    for _ in range(ENTRIES // LATELY):
        balance.evicted(MAIN, ENTRIES, GHOSTS)
        balance.came_back(MAIN, PART, ENTRIES)
    admitted = [balance.came_back(PROBATION, PART, ENTRIES) for _ in range(10 * EXPLORE)]
    assert sum(admitted) == 10


def test_the_brake_is_released_when_main_no_longer_thrashes() -> None:
    """Once main's victims stay away, keys that come back go to main again."""
    balance = Balance()
    for _ in range(ENTRIES // LATELY):
        balance.evicted(MAIN, ENTRIES, GHOSTS)
        balance.came_back(MAIN, PART, ENTRIES)
    for _ in range(ENTRIES // LATELY):
        balance.evicted(MAIN, ENTRIES, GHOSTS)
    assert all(balance.came_back(PROBATION, PART, ENTRIES) for _ in range(EXPLORE))
