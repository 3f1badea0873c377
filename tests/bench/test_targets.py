"""What counts as reached."""

from __future__ import annotations

from bench import targets
from bench.rows import OURS, TASKS, HerdRow, LeaderRow, MemoryRow, Table, TimedRow

AWAIT = Table("hit", "await, L1 hit", floor="trivial coroutine", is_async=True)


def hit(name: str, ratio: float) -> TimedRow:
    return TimedRow(AWAIT, name, 1.0, 1.0, 1, ratio=ratio)


def test_only_the_plain_row_is_held_to_the_hit_ratio() -> None:
    """Variants and peers are shown, and judge nothing."""
    rows = [hit(OURS, 3.0), hit(f"{OURS}, method", 9.0), hit("a peer", 9.0)]
    assert [target.reached for target in targets.of_hits(rows)] == [True]
    assert [target.reached for target in targets.of_hits([hit(OURS, 3.01)])] == [False]


def test_memory_is_judged_by_the_larger_measure() -> None:
    """Neither the operating system's count nor the allocator's may exceed the limit."""
    assert not targets.of_memory([MemoryRow(OURS, 1, 0, 0, 201.0, 150.0)])[0].reached
    assert not targets.of_memory([MemoryRow(OURS, 1, 0, 0, 150.0, 201.0)])[0].reached
    assert targets.of_memory([MemoryRow(OURS, 1, 0, 0, 200.0, 200.0)])[0].reached


def test_one_load_that_leaves_a_caller_without_the_value_is_not_reached() -> None:
    """Sparing the source by failing callers is no success."""
    assert targets.of_herds([HerdRow(TASKS, OURS, 1_000, 1, 0.1, 0)])[0].reached
    assert not targets.of_herds([HerdRow(TASKS, OURS, 1_000, 1, 0.1, 1)])[0].reached
    assert not targets.of_herds([HerdRow(TASKS, OURS, 1_000, 2, 0.1, 0)])[0].reached


def test_followers_may_get_the_value_or_the_sources_error_and_nothing_else() -> None:
    """A caller that nobody cancelled and that gets CancelledError, or none at all, fails the row."""

    def reached(values: int, errors: int, cancelled: int, loads: int) -> bool:
        row = LeaderRow(
            TASKS, OURS, "event", 9, values, errors, cancelled, 9 - values - errors - cancelled, loads
        )
        return targets.of_leaders([row])[0].reached

    assert reached(9, 0, 0, 2)
    assert reached(0, 9, 0, 1)
    assert not reached(8, 0, 1, 1)
    assert not reached(8, 0, 0, 1)
    assert not reached(9, 0, 0, 3)


def test_the_worst_stream_decides_the_hit_ratio() -> None:
    """Being ahead on one stream does not make up for being behind on another."""
    rows = [
        {"stream": "a", "part": 0.1, "difference": 3.0},
        {"stream": "b", "part": 0.1, "difference": -1.01},
    ]
    (target,) = targets.of_ratios(rows)
    assert not target.reached
    assert "b at 0.1" in target.measured
