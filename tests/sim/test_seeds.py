"""Schedules that once broke a promise, run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.scenario import Sizes, WorldName
from cacheaside.testing.simulator.world import run_seed

WORLDS: dict[str, WorldName] = {"embedded": "embedded", "shared": "shared"}
LINES = [
    line.split(maxsplit=4)
    for line in Path(__file__).with_name("seeds.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: "-".join(line[:2]))
def test_what_failed_once_is_kept(line: list[str]) -> None:
    """A seed that ever broke a promise keeps it now."""
    world, seed, sizes, given, why = line
    assert why.endswith(".")
    assert world in WORLDS
    found = run_seed(WORLDS[world], int(seed), Sizes.of(sizes, "" if given == "-" else given), Counts())
    assert found is None, f"{found}: once, {why}"
