"""What cacheaside promises in numbers, held against what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.rows import OURS, HerdRow, LeaderRow, MemoryRow, TimedRow

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
    found = []
    for row in rows:
        if row.table.section == "hit" and row.name == OURS:
            name = f"{row.table.title}, 1 argument, immutable value"
            limit = AWAIT_RATIO_MAX if row.table.is_async else CALL_RATIO_MAX
            found.append(
                Target(name, f"<= {limit:.1f}x {row.table.floor}", f"{row.ratio:.2f}x", row.ratio <= limit)
            )
    return found


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
