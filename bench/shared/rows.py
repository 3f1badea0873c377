"""What the sections of the shared tier found, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench.rows import THREADS

ONE_GET = "redis-py, one GET"
"""The floor of every table: hand-written, with redis-py's default timeouts."""
SLEEPING = "sleeping alone"
"""In the tables with think time: callers that only sleep. Their CPU time is taken off every other row's."""


@dataclass(frozen=True, slots=True)
class SharedTable:
    """Rows that belong together: how many callers, how large a value, and whether callers think between reads."""

    kind: str
    """Tasks of one event loop, or threads."""
    callers: int
    value_bytes: int
    think_s: float = 0.0
    """How long a caller sleeps between two reads, on the average; 0: not at all."""

    @property
    def title(self) -> str:
        one = "thread" if self.kind == THREADS else "task"
        thinking = ", think time" if self.think_s else ""
        return f"L2 hit, {self.callers} {one}{'s' * (self.callers > 1)}, {self.value_bytes:,} B{thinking}"


@dataclass(frozen=True, slots=True)
class Round:
    """One row in one round."""

    reads: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class SharedHitRow:
    """One cache in one table: the best of its rounds, and the medians beside it."""

    table: SharedTable
    name: str
    reads: int
    """In all rounds."""
    best_per_s: float
    median_per_s: float
    least_cpu_us: float
    """CPU time of the process for one read; with think time, less that of callers that only sleep."""
    median_cpu_us: float
    ratio: float = 0.0
    """`best_per_s` over that of hand-written GETs."""
    cpu_ratio: float = 0.0
    """`least_cpu_us` of hand-written GETs over this row's."""


@dataclass(frozen=True, slots=True)
class SharedHerdRow:
    """Callers in several processes, one cold key. Medians of the repeats, but the most loads and commands."""

    name: str
    kind: str
    processes: int
    callers: int
    """In each process."""
    loads: int
    slowest_s: float
    load_s: float
    commands: int
    failed: int
    by_command: dict[str, int] = field(default_factory=dict)
    """Of the repeat with the most commands."""


@dataclass(frozen=True, slots=True)
class HotRow:
    """One key under continuous load that expires again and again."""

    name: str
    kind: str
    periods: float
    loads: int
    reads: int
    p99_s: float
    slowest_s: float
    failed: int


@dataclass(frozen=True, slots=True)
class AwayRow:
    """Reads while the server is away: seconds beyond what the load itself took. None: longer than the limit."""

    name: str
    kind: str
    event: str
    first_s: float | None
    later_p50_s: float | None
    later_p99_s: float | None
    later_worst_s: float | None
    later_calls: int
    errors: int
    limit_s: float


@dataclass(frozen=True, slots=True)
class DropRow:
    """From the acknowledgement of an invalidation to the first read that L1 no longer answers with the old value."""

    name: str
    load: str
    busy: float
    """The share of its time that a reading process was busy."""
    processes: int
    invalidations: int
    """Those that were acknowledged."""
    unacknowledged: int
    p50_s: float
    p99_s: float
    worst_s: float
    missed: int
    """Drops that were not seen before the run ended."""
    stale: int
    """Values that a process first saw after an invalidation that should have ended them."""


@dataclass(frozen=True, slots=True)
class EntryBytesRow:
    """Memory of the server for one entry."""

    name: str
    kind: str
    entries: int
    value_bytes: int
    bytes_per_entry: float
    overhead_bytes: float


def with_ratios(rows: list[SharedHitRow]) -> list[SharedHitRow]:
    """The rows with think time less the sleeping ones, and all with their ratios to hand-written GETs; in order.

    The sleeping rows are left out: they are no cache.
    """
    asleep = {row.table: row for row in rows if row.name == SLEEPING}
    net = [
        replace(
            row,
            least_cpu_us=row.least_cpu_us - asleep[row.table].least_cpu_us,
            median_cpu_us=row.median_cpu_us - asleep[row.table].median_cpu_us,
        )
        if row.table in asleep
        else row
        for row in rows
        if row.name != SLEEPING
    ]
    floor = {row.table: row for row in net if row.name == ONE_GET}
    return [
        replace(
            row,
            ratio=row.best_per_s / floor[row.table].best_per_s,
            cpu_ratio=floor[row.table].least_cpu_us / row.least_cpu_us,
        )
        for row in net
    ]
