"""Tables of the shared tier's sections, for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bench.report import aligned
from bench.shared.rows import (
    ONE_GET,
    AwayRow,
    DropRow,
    EntryBytesRow,
    HotRow,
    SharedHerdRow,
    SharedHitRow,
)


def hits(rows: Sequence[SharedHitRow]) -> str:
    parts = []
    for table, group in groupby(rows, key=lambda row: row.table):
        headers = (
            table.title,
            "best a second",
            f"x {ONE_GET}",
            "median",
            "CPU us, less sleeping" if table.think_s else "least CPU us",
            "times less CPU",
        )
        parts.append(
            aligned(
                headers,
                [
                    (
                        row.name,
                        f"{row.best_per_s:,.0f}",
                        f"{row.ratio:.2f}x",
                        f"{row.median_per_s:,.0f}",
                        f"{row.least_cpu_us:.1f}",
                        f"{row.cpu_ratio:.2f}",
                    )
                    for row in group
                ],
            )
        )
    return "\n\n".join(parts)


def herds(rows: Sequence[SharedHerdRow]) -> str:
    title = f"{rows[0].processes} processes, one cold key, a load of {rows[0].load_s * 1e3:.0f} ms"
    return aligned(
        (title, "callers", "loads", "slowest ms", "L2 commands", "without value"),
        [
            (
                row.name,
                f"{row.processes} x {row.callers} {row.kind}",
                f"{row.loads:,}",
                f"{row.slowest_s * 1e3:.0f}",
                f"{row.commands:,}",
                str(row.failed),
            )
            for row in rows
        ],
    )


def hot(rows: Sequence[HotRow]) -> str:
    return aligned(
        ("hot key under load", "ttl periods", "loads", "reads", "p99 ms", "slowest ms", "without value"),
        [
            (
                row.name,
                f"{row.periods:g}",
                f"{row.loads:,}",
                f"{row.reads:,}",
                f"{row.p99_s * 1e3:.1f}",
                f"{row.slowest_s * 1e3:.1f}",
                str(row.failed),
            )
            for row in rows
        ],
    )


def away(rows: Sequence[AwayRow]) -> str:
    """Milliseconds beyond the load's own time."""
    headers = ("first ms", "later p50", "p99", "worst", "later calls", "errors")

    def ms(row: AwayRow, seconds: float | None) -> str:
        return f">{row.limit_s:g} s" if seconds is None else f"{seconds * 1e3:,.1f}"

    return "\n\n".join(
        aligned(
            (f"{event}, beyond the load", *headers),
            [
                (
                    f"{row.name}, {row.kind}",
                    ms(row, row.first_s),
                    ms(row, row.later_p50_s),
                    ms(row, row.later_p99_s),
                    ms(row, row.later_worst_s),
                    str(row.later_calls),
                    str(row.errors),
                )
                for row in group
            ],
        )
        for event, group in groupby(rows, key=lambda row: row.event)
    )


def drops(rows: Sequence[DropRow]) -> str:
    return aligned(
        (
            "invalidation to L1 drop",
            "busy",
            "p50 ms",
            "p99 ms",
            "worst ms",
            "seen",
            "missed",
            "stale",
            "unacknowledged",
        ),
        [
            (
                f"{row.name}, {row.load}",
                f"{row.processes} x {row.busy:.0%}",
                f"{row.p50_s * 1e3:.2f}",
                f"{row.p99_s * 1e3:.2f}",
                f"{row.worst_s * 1e3:.2f}",
                f"{row.invalidations * row.processes - row.missed:,}",
                str(row.missed),
                str(row.stale),
                str(row.unacknowledged),
            )
            for row in rows
        ],
    )


def entry_bytes(rows: Sequence[EntryBytesRow]) -> str:
    return aligned(
        (f"server's memory, {rows[0].entries:,} entries of {rows[0].value_bytes} B", "bytes", "over payload"),
        [(row.name, f"{row.bytes_per_entry:.0f}", f"{row.overhead_bytes:.0f}") for row in rows],
    )
