"""What cacheaside promises in numbers, held against what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.rows import OURS, TASKS, CountingRow, HerdRow, LeaderRow, MemoryRow, TimedRow
from bench.shared.rows import ONE_GET, AwayRow, DropRow, HotRow, SharedHerdRow, SharedHitRow

AWAIT_RATIO_MAX = 3.0
CALL_RATIO_MAX = 4.0
COUNTING_SHARE_MAX = 0.15
OVERHEAD_BYTES_MAX = 200
ADMISSION_NS_MAX = 5_000.0
LOADS_MAX = 1
POINTS_MAX = 1.0
L2_HIT_CALLERS = 50
L2_HIT_RATIO_MIN = 8.0
L2_HIT_CPU_RATIO_MIN = 5.0
HERD_BEYOND_LOAD_S_MAX = 0.02
HERD_COMMANDS_MAX = 50
HOT_SLOWEST_S_MAX = 0.01
AWAY_FIRST_S_MAX = 0.1
AWAY_LATER_S_MAX = 0.001
DROP_P99_S_MAX = {"a core to spare": 0.01, "every core busy": 0.03}


@dataclass(frozen=True, slots=True)
class Target:
    """One promise. `reached` only where its rows were measured: a target without rows is not listed."""

    name: str
    limit: str
    measured: str
    reached: bool


def of_hits(rows: Sequence[TimedRow]) -> list[Target]:
    found = []
    for row in rows:
        if row.table.section == "hit" and row.name == OURS:
            name = f"{row.table.title}, 1 argument, immutable value"
            limit = AWAIT_RATIO_MAX if row.table.is_async else CALL_RATIO_MAX
            found.append(
                Target(name, f"<= {limit:.1f}x {row.table.floor}", f"{row.ratio:.2f}x", row.ratio <= limit)
            )
    return found


def of_counting(rows: Sequence[CountingRow]) -> list[Target]:
    return [
        Target(
            f"counting of an L1 hit, {row.kind}",
            f"<= {COUNTING_SHARE_MAX:.0%} of the hit without it",
            f"{row.share:.1%}",
            row.share <= COUNTING_SHARE_MAX,
        )
        for row in rows
    ]


def of_admission(rows: Sequence[TimedRow]) -> list[Target]:
    """Of a load for which there is room; one that waits for its turn waits longer than any of this."""
    return [
        Target(
            f"admission of a load, {row.name}",
            f"<= {ADMISSION_NS_MAX / 1e3:.0f} us",
            f"{row.min_ns / 1e3:.2f} us",
            row.min_ns <= ADMISSION_NS_MAX,
        )
        for row in rows
        if row.table.section == "admission" and row.name == OURS
    ]


def of_memory(rows: Sequence[MemoryRow]) -> list[Target]:
    """By the larger of the two measures."""
    return [
        Target(
            "L1 overhead per entry, no tags",
            f"<= {OVERHEAD_BYTES_MAX} B",
            f"{max(row.rss_overhead_bytes, row.traced_overhead_bytes):.0f} B",
            max(row.rss_overhead_bytes, row.traced_overhead_bytes) <= OVERHEAD_BYTES_MAX,
        )
        for row in rows
        if row.name == OURS
    ]


def of_herds(rows: Sequence[HerdRow]) -> list[Target]:
    return [
        Target(
            f"{row.callers:,} concurrent misses of one key, {row.kind}",
            "1 load, every caller answered",
            f"loads {row.loads}, callers without the value {row.failed}",
            row.loads <= LOADS_MAX and not row.failed,
        )
        for row in rows
        if row.name == OURS
    ]


def of_leaders(rows: Sequence[LeaderRow]) -> list[Target]:
    """A cancelled leader costs at most one more load; a failed one gives its error, or one more load its value."""
    return [
        Target(
            f"{row.event}, {row.kind}",
            f"{row.callers} of {row.callers} answered, <= 2 loads",
            f"values {row.values}, errors of the source {row.true_errors}, loads {row.loads}",
            row.values + row.true_errors == row.callers and row.loads <= LOADS_MAX + 1,
        )
        for row in rows
        if row.name == OURS
    ]


def of_ratios(rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    """The stream and capacity where L1 is furthest below the best policy of the independent simulator."""
    if not rows:
        return []
    lowest = min(rows, key=lambda row: float(row["difference"]))
    difference = float(lowest["difference"])
    return [
        Target(
            f"L1 hit ratio, each of {len(rows)} streams and capacities",
            f"within {POINTS_MAX:.0f} point of the best",
            f"{difference:+.2f} points at worst ({lowest['stream']} at {lowest['part']})",
            difference >= -POINTS_MAX,
        )
    ]


def of_shared_hits(rows: Sequence[SharedHitRow]) -> list[Target]:
    """Tasks of one event loop: throughput in lockstep, CPU time with think time."""
    found = []
    for row in rows:
        if row.name == OURS and row.table.kind == TASKS and row.table.callers == L2_HIT_CALLERS:
            if row.table.think_s:
                limit, measured, what = L2_HIT_CPU_RATIO_MIN, row.cpu_ratio, "times less CPU than"
            else:
                limit, measured, what = L2_HIT_RATIO_MIN, row.ratio, "x"
            found.append(
                Target(
                    row.table.title, f">= {limit:.0f} {what} {ONE_GET}", f"{measured:.2f}", measured >= limit
                )
            )
    return found


def of_shared_herds(rows: Sequence[SharedHerdRow]) -> list[Target]:
    return [
        Target(
            f"one cold key, {row.processes} x {row.callers} {row.kind}",
            f"1 load, slowest <= load + {HERD_BEYOND_LOAD_S_MAX * 1e3:.0f} ms, <= {HERD_COMMANDS_MAX} L2 commands",
            f"loads {row.loads}, load + {(row.slowest_s - row.load_s) * 1e3:.0f} ms, commands {row.commands}, "
            f"callers without the value {row.failed}",
            row.loads <= LOADS_MAX
            and row.slowest_s <= row.load_s + HERD_BEYOND_LOAD_S_MAX
            and row.commands <= HERD_COMMANDS_MAX
            and not row.failed,
        )
        for row in rows
        if row.name == OURS
    ]


def of_hot(rows: Sequence[HotRow]) -> list[Target]:
    """A time of n periods touches n + 1 of them."""
    return [
        Target(
            "hot key expiring under load",
            f"1 load a period, slowest <= {HOT_SLOWEST_S_MAX * 1e3:.0f} ms",
            f"loads {row.loads} in {row.periods:g} periods, slowest {row.slowest_s * 1e3:.1f} ms, "
            f"reads without the value {row.failed}",
            row.loads <= row.periods + 1 and row.slowest_s <= HOT_SLOWEST_S_MAX and not row.failed,
        )
        for row in rows
        if row.name == OURS
    ]


def of_away(rows: Sequence[AwayRow]) -> list[Target]:
    """Later calls by their p99: the worst of hundreds is the scheduler's."""

    def ms(seconds: float | None) -> str:
        return "beyond the limit" if seconds is None else f"{seconds * 1e3:.1f} ms"

    def within(seconds: float | None, limit_s: float) -> bool:
        return seconds is not None and seconds <= limit_s

    return [
        Target(
            f"{row.event}, {row.kind}",
            f"first <= load + {AWAY_FIRST_S_MAX * 1e3:.0f} ms, later <= {AWAY_LATER_S_MAX * 1e3:.0f} ms, no error",
            f"first {ms(row.first_s)}, later {ms(row.later_p99_s)}, errors {row.errors}",
            within(row.first_s, AWAY_FIRST_S_MAX)
            and within(row.later_p99_s, AWAY_LATER_S_MAX)
            and not row.errors,
        )
        for row in rows
        if row.name == OURS
    ]


def of_drops(rows: Sequence[DropRow]) -> list[Target]:
    return [
        Target(
            f"invalidation to L1 drop, {row.load}",
            f"p99 <= {DROP_P99_S_MAX[row.load] * 1e3:.0f} ms, none missed, none stale",
            f"p99 {row.p99_s * 1e3:.1f} ms, missed {row.missed}, stale {row.stale}, of {row.invalidations} "
            f"acknowledged and {row.unacknowledged} others",
            row.p99_s <= DROP_P99_S_MAX[row.load] and not row.missed and not row.stale,
        )
        for row in rows
        if row.name == OURS
    ]
