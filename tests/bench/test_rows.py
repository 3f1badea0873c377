"""From raw times to the figures that are reported."""

from __future__ import annotations

import pytest

from bench.rows import EMPTY_LOOP, Table, TimedRow, disturbance, net_of

TABLE = Table("hit", "call", floor="floor", is_async=False)


def row(name: str, median_ns: float, min_ns: float) -> TimedRow:
    return TimedRow(TABLE, name, median_ns=median_ns, min_ns=min_ns, calls=1)


def test_times_are_net_of_the_empty_loop_and_ratios_are_to_the_floor() -> None:
    """The loop around the statements is taken off the row and off the floor before one is divided by the other."""
    empty, floor, ours = net_of(
        [row(EMPTY_LOOP, 5.0, 4.0), row("floor", 25.0, 14.0), row("ours", 85.0, 34.0)]
    )
    assert (empty.net_ns, floor.net_ns, ours.net_ns) == (0.0, 20.0, 80.0)
    assert (empty.min_ns, floor.min_ns, ours.min_ns) == (0.0, 10.0, 30.0)
    assert (floor.ratio, ours.ratio) == (1.0, pytest.approx(3.0))
    assert (floor.median_ratio, ours.median_ratio) == (1.0, pytest.approx(4.0))


def test_a_busy_machine_shows_in_the_floors() -> None:
    """A floor whose median is far above its least time tells that the medians cannot be compared."""
    rows = net_of([row(EMPTY_LOOP, 5.0, 4.0), row("floor", 25.0, 14.0), row("ours", 85.0, 34.0)])
    assert disturbance(rows) == pytest.approx(2.0)


def test_each_table_has_its_own_empty_loop_and_floor() -> None:
    """Rows of one table are not measured by the floor of another."""
    other = Table("hit", "await", floor="floor", is_async=True)
    rows = [row(EMPTY_LOOP, 5.0, 5.0), row("floor", 15.0, 15.0), row("ours", 35.0, 35.0)]
    others = [
        TimedRow(other, one.name, one.median_ns * 10, one.min_ns * 10, 1) if one.name != EMPTY_LOOP else
        TimedRow(other, EMPTY_LOOP, 50.0, 40.0, 1)
        for one in rows
    ]  # fmt: skip
    assert [one.net_ns for one in net_of([*rows, *others])] == [0.0, 10.0, 30.0, 0.0, 100.0, 300.0]
