"""What the benchmark found, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace

OURS = "cacheaside"
"""The name of cacheaside's plain row, and the beginning of the names of its variants."""

EMPTY_LOOP = "empty loop"
"""In every table of timed rows: the loop with nothing in it, which is taken off all the others."""


@dataclass(frozen=True, slots=True)
class Table:
    """Timed rows that belong together; their ratios are to the row named `floor`."""

    section: str
    title: str
    floor: str
    is_async: bool


TASKS = "tasks"
THREADS = "threads"


@dataclass(frozen=True, slots=True)
class TimedRow:
    """One timed statement, per execution. `net_ns` is the median without the loop around it, and so is `min_ns`
    once `net_of` has seen the row."""

    table: Table
    name: str
    median_ns: float
    min_ns: float
    calls: int
    remark: str = ""
    net_ns: float = 0.0
    ratio: float = 0.0
    """`min_ns` over that of the table's floor. Of the least times, because what disturbs only adds: with the other
    cores busy, the medians of one run were up to twice too long, in some rows and not in others."""
    median_ratio: float = 0.0
    """`net_ns` over that of the table's floor."""


@dataclass(frozen=True, slots=True)
class CountingRow:
    """A hit in nanoseconds, net of the loop around it, as it is and without the line that counts it."""

    kind: str
    """In a task, or on a thread."""
    with_ns: float
    without_ns: float

    @property
    def share(self) -> float:
        """What counting adds."""
        return self.with_ns / self.without_ns - 1.0


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """Bytes per entry. Overhead: what was taken less what the keys and the values themselves take."""

    name: str
    entries: int
    rss_bytes: float
    traced_bytes: float
    rss_overhead_bytes: float
    traced_overhead_bytes: float


@dataclass(frozen=True, slots=True)
class HerdRow:
    """Many callers, one cold key, a load that takes 100 ms. Medians of the repeats, but the most loads."""

    kind: str
    """Tasks of one event loop, or threads."""
    name: str
    callers: int
    loads: int
    slowest_s: float
    failed: int


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """What happens to ten callers of one key when the first is cancelled, or when the first load raises."""

    kind: str
    """Tasks of one event loop, or threads."""
    name: str
    event: str
    callers: int
    """Those whose answers are counted below: without the one that was cancelled."""
    values: int
    true_errors: int
    """The loader's own exception."""
    cancelled: int
    """CancelledError in a caller that nobody cancelled."""
    hung: int
    loads: int


def net_of(rows: list[TimedRow]) -> list[TimedRow]:
    """The rows less their table's empty loop, with ratios to the table's floor, in their order."""
    empty = {row.table: row for row in rows if row.name == EMPTY_LOOP}
    floor = {row.table: row for row in rows if row.name == row.table.floor}

    def net(row: TimedRow) -> float:
        return row.median_ns - empty[row.table].median_ns

    def least(row: TimedRow) -> float:
        return row.min_ns - empty[row.table].min_ns

    return [
        replace(
            row,
            net_ns=net(row),
            min_ns=least(row),
            ratio=least(row) / least(floor[row.table]),
            median_ratio=net(row) / net(floor[row.table]),
        )
        for row in rows
    ]


def disturbance(rows: list[TimedRow]) -> float:
    """How much longer a floor took in the median than at best, the worst of the tables; 1.0 on a quiet machine."""
    floors = [row for row in rows if row.name == row.table.floor]
    return max((row.net_ns / row.min_ns for row in floors), default=1.0)
