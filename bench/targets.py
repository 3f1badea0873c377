"""What cacheaside promises in numbers, held against what was measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import hit
from bench.ours import NAME
from bench.rows import HerdRow, LeaderRow, MemoryRow, Table, TimedRow

AWAIT_RATIO_MAX = 3.0
CALL_RATIO_MAX = 4.0
OVERHEAD_BYTES_MAX = 200
LOADS_MAX = 1
POINTS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """One promise. `reached` only where its rows were measured: a target without rows is not listed."""

    name: str
    limit: str
    measured: str
    reached: bool


def of_hits(rows: Sequence[TimedRow]) -> list[Target]:
    return [
        *_ratio(rows, hit.AWAIT, "L1 hit, await, 1 argument, immutable value", AWAIT_RATIO_MAX),
        *_ratio(rows, hit.CALL, "L1 hit, call, 1 argument, immutable value", CALL_RATIO_MAX),
    ]


def _ratio(rows: Sequence[TimedRow], table: Table, name: str, limit: float) -> list[Target]:
    return [
        Target(name, f"<= {limit:.1f}x {table.floor}", f"{row.ratio:.2f}x", row.ratio <= limit)
        for row in rows
        if row.table == table and row.name == NAME
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
        if row.name == NAME
    ]


def of_herds(rows: Sequence[HerdRow]) -> list[Target]:
    return [
        Target(
            f"{row.callers:,} concurrent misses of one key, {row.kind}",
            "1 load, every caller answered",
            f"{row.loads} loads, {row.failed} without the value",
            row.loads <= LOADS_MAX and not row.failed,
        )
        for row in rows
        if row.name == NAME
    ]


def of_leaders(rows: Sequence[LeaderRow]) -> list[Target]:
    """A cancelled leader costs at most one more load; a failed one gives its error, or one more load its value."""
    return [
        Target(
            f"{row.event}, {row.kind}",
            f"{row.callers} of {row.callers} answered, <= 2 loads",
            f"{row.values} values, {row.true_errors} errors of the source, {row.loads} loads",
            row.values + row.true_errors == row.callers and row.loads <= LOADS_MAX + 1,
        )
        for row in rows
        if row.name == NAME
    ]
