"""What counts as reached."""

from __future__ import annotations

from dataclasses import replace

from bench import counting, targets
from bench.counting import without_counting
from bench.rows import OURS, TASKS, THREADS, CountingRow, HerdRow, LeaderRow, MemoryRow, Table, TimedRow
from bench.shared.rows import AwayRow, DropRow, HotRow, SharedHerdRow, SharedHitRow, SharedTable
from cacheaside import Cache, Contract

AWAIT = Table("hit", "await, L1 hit", floor="trivial coroutine", is_async=True)


def hit(name: str, ratio: float) -> TimedRow:
    return TimedRow(AWAIT, name, 1.0, 1.0, 1, ratio=ratio)


def test_only_the_plain_row_is_held_to_the_hit_ratio() -> None:
    """Variants and peers are shown, and judge nothing."""
    rows = [hit(OURS, 3.0), hit(f"{OURS}, method", 9.0), hit("a peer", 9.0)]
    assert [target.reached for target in targets.of_hits(rows)] == [True]
    assert [target.reached for target in targets.of_hits([hit(OURS, 3.01)])] == [False]


def test_counting_is_judged_against_the_same_hit_without_it() -> None:
    """15 % over the same function is reached, more is not."""
    assert targets.of_counting([CountingRow(TASKS, 114.9, 100.0)])[0].reached
    assert not targets.of_counting([CountingRow(TASKS, 115.1, 100.0)])[0].reached


def test_a_hit_without_counting_is_the_same_hit() -> None:
    """What is compared differs by one line: it answers alike, and its hits are not counted."""
    cache = Cache()

    @cache.read("product", Contract("60s"))
    def product(k: int) -> int:
        return k

    uncounted = without_counting(product)
    assert [product(1), uncounted(1), uncounted(1), product(1)] == [1] * 4
    assert (cache.stats().endpoints["product"].hits, cache.stats().endpoints["product"].loads) == (1, 1)


def test_counting_is_measured_in_both_colours() -> None:
    """Few batches are enough to see that it runs: each hit is counted, or not, and takes time either way."""
    rows = counting.rows(1, 5, lambda line: None)
    assert [row.kind for row in rows] == [TASKS, THREADS]
    assert all(row.with_ns > 0 and row.without_ns > 0 for row in rows)


def test_admission_is_judged_where_there_is_room() -> None:
    """What a load costs that waits for its turn is shown, and judges nothing; what hits cost is another row."""
    table = Table("admission", "one load", floor="a function call", is_async=False)
    rows = [TimedRow(table, OURS, 9.0, ns, 1) for ns in (5_000.0, 5_001.0)]
    assert [target.reached for target in targets.of_admission(rows)] == [True, False]
    assert targets.of_admission([TimedRow(table, f"{OURS}, at the limit", 9.0, 9_999.0, 1)]) == []
    assert targets.of_admission([hit(OURS, 9_999.0)]) == []


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


def shared_hit(table: SharedTable, ratio: float = 0.0, cpu_ratio: float = 0.0) -> SharedHitRow:
    return SharedHitRow(table, OURS, 1, 1.0, 1.0, 1.0, 1.0, ratio, cpu_ratio)


def test_hits_on_the_server_are_judged_at_fifty_tasks() -> None:
    """In lockstep by throughput, with think time by CPU; other shapes are shown, and judge nothing."""
    lockstep, thinking = SharedTable(TASKS, 50, 200), SharedTable(TASKS, 50, 200, 0.01)
    rows = [
        shared_hit(lockstep, ratio=8.0),
        shared_hit(lockstep, ratio=7.99, cpu_ratio=9.0),
        shared_hit(thinking, cpu_ratio=5.0),
        shared_hit(thinking, ratio=9.0, cpu_ratio=4.99),
        shared_hit(SharedTable(TASKS, 1, 200)),
        shared_hit(SharedTable(TASKS, 500, 200)),
        shared_hit(SharedTable(THREADS, 50, 200)),
        shared_hit(SharedTable(THREADS, 50, 200, 0.01)),
    ]
    assert [target.reached for target in targets.of_shared_hits(rows)] == [True, False, True, False]


def test_a_herd_on_the_server_must_be_right_in_four_ways() -> None:
    """One load, 20 ms beyond it, 50 commands, every caller answered: one of them missed is a target missed."""
    good = SharedHerdRow(OURS, TASKS, 4, 250, 1, 0.12, 0.1, 50, 0)

    def reached(row: SharedHerdRow) -> bool:
        return targets.of_shared_herds([row])[0].reached

    assert reached(good)
    assert not reached(replace(good, loads=2))
    assert not reached(replace(good, slowest_s=0.121))
    assert not reached(replace(good, commands=51))
    assert not reached(replace(good, failed=1))


def test_a_hot_key_is_loaded_once_a_period() -> None:
    """Eight periods may touch nine; a slow read or one without its value misses the target."""
    good = HotRow(OURS, TASKS, 8.0, 9, 1_000, 0.001, 0.01, 0)

    def reached(row: HotRow) -> bool:
        return targets.of_hot([row])[0].reached

    assert reached(good)
    assert not reached(replace(good, loads=10))
    assert not reached(replace(good, slowest_s=0.011))
    assert not reached(replace(good, failed=1))


def test_a_server_that_is_away_costs_one_wait_and_no_error() -> None:
    """100 ms once and 1 ms later; what took longer than the benchmark waits is not reached."""
    good = AwayRow(OURS, TASKS, "server hangs", 0.1, 0.0, 0.001, 0.2, 100, 0, 5.0)

    def reached(row: AwayRow) -> bool:
        return targets.of_away([row])[0].reached

    assert reached(good)
    assert not reached(replace(good, first_s=0.101))
    assert not reached(replace(good, first_s=None))
    assert not reached(replace(good, later_p99_s=0.0011))
    assert not reached(replace(good, later_p99_s=None))
    assert not reached(replace(good, errors=1))


def test_a_drop_has_a_limit_for_each_load_of_the_machine() -> None:
    """10 ms where a core is free, 30 ms where none is; a drop that was missed or a stale value fails either."""
    spare = DropRow(OURS, "a core to spare", 0.1, 4, 200, 0, 0.0, 0.01, 0.1, 0, 0)
    busy = replace(spare, load="every core busy", p99_s=0.03)

    def reached(row: DropRow) -> bool:
        return targets.of_drops([row])[0].reached

    assert reached(spare)
    assert reached(busy)
    assert not reached(replace(spare, p99_s=0.011))
    assert not reached(replace(busy, p99_s=0.031))
    assert not reached(replace(spare, missed=1))
    assert not reached(replace(spare, stale=1))
