"""L1's hit ratio beside an independent simulator (libcachesim), on the streams of `bench.workloads`.

Both see the same requests from empty, in one pass, with keys of one size; hits are counted from the first
request, so filling counts alike. "Best" is the best of SIEVE, S3-FIFO, W-TinyLFU and ARC with the
simulator's own settings, each stream and size for itself: a policy that was chosen with the answer known.
LRU stands beside them for orientation.

A recorded trace is added for each file `*.trace.xz` in the directory that the variable CACHEASIDE_TRACES
names.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.workloads import STREAMS, recorded
from cacheaside.stores.l1.entry import BLOCK_BYTES, Entry, key_hash_of
from cacheaside.stores.l1.eviction import Eviction

PARTS: Final = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Capacities, as parts of the number of distinct keys in the stream."""
RIVALS: Final = {"sieve": "Sieve", "s3-fifo": "S3FIFO", "w-tinylfu": "WTinyLFU", "arc": "ARC"}
HASH_POWER: Final = 18
"""The simulator's tables at the start; its default takes 128 MB for each cache."""


class _Table:
    name = 1
    """A number, because strings hash differently in each process."""

    def __init__(self) -> None:
        self.hits = 0
        self.leavers = None


def ours(requests: Sequence[int], capacity: int) -> float:
    """Hit ratio in per cent of the shipped policy, driven as the store drives it."""
    table = _Table()
    eviction = Eviction(capacity, capacity * BLOCK_BYTES * 8)
    held: dict[int, Entry] = {}
    hits = 0
    for key in requests:
        entry = held.get(key)
        if entry is not None:
            entry.hits += 1
            hits += 1
            continue
        entry = Entry(None, 1.0, key, table, 0.0)
        held[key] = entry
        for victim in eviction.insert(entry, key_hash_of(entry)):
            del held[victim.key]  # type: ignore[arg-type]
    return 100 * hits / len(requests)


def rivals(requests: Sequence[int], capacities: Sequence[int]) -> list[dict[str, float]]:
    """Hit ratios in per cent of the simulator's policies, for each capacity."""
    import libcachesim as simulator

    with tempfile.NamedTemporaryFile(suffix=".oracleGeneral") as trace:
        # The simulator's binary record: time, key, size, next access (unknown).
        records = (struct.pack("<IQIq", moment, key + 1, 1, -2) for moment, key in enumerate(requests))
        trace.write(b"".join(records))
        trace.flush()
        reader = simulator.TraceReader(
            trace.name,
            simulator.TraceType.ORACLE_GENERAL_TRACE,
            simulator.ReaderInitParam(ignore_obj_size=True),
        )

        def ratio(policy: str, capacity: int) -> float:
            reader.reset()
            missed, _ = getattr(simulator, policy)(capacity, hashpower=HASH_POWER).process_trace(reader)
            return float(100 * (1 - missed))

        names = RIVALS | {"lru": "LRU"}
        return [{name: ratio(policy, capacity) for name, policy in names.items()} for capacity in capacities]


def streams() -> dict[str, Callable[[], list[int]]]:
    """The fixed streams, and the recorded ones that are at hand."""
    found = dict(STREAMS)
    directory = os.environ.get("CACHEASIDE_TRACES")
    for path in sorted(Path(directory).glob("*.trace.xz")) if directory else ():
        found[path.name.removesuffix(".trace.xz")] = partial(recorded, path)
    return found


def rows(parts: Sequence[float] = PARTS) -> list[dict[str, Any]]:
    """One row for each stream and capacity: hit ratios in per cent, and ours less the best in points."""
    table: list[dict[str, Any]] = []
    for name, make in streams().items():
        requests = make()
        keys = len(set(requests))
        capacities = [max(1, int(keys * part)) for part in parts]
        for part, capacity, theirs in zip(parts, capacities, rivals(requests, capacities), strict=True):
            best = max(RIVALS, key=lambda rival: theirs[rival])
            mine = ours(requests, capacity)
            table.append(
                {"stream": name, "requests": len(requests), "keys": keys, "part": part, "capacity": capacity}
                | {"ours": round(mine, 2), "best": best, "difference": round(mine - theirs[best], 2)}
                | {rival: round(figure, 2) for rival, figure in theirs.items()}
            )
        print(f"hit ratio: {name} done", file=sys.stderr)
    return table


def text(table: Sequence[dict[str, Any]]) -> str:
    """The rows as a table for people."""
    columns = ("stream", "part", "capacity", "ours", "best", "difference", *RIVALS, "lru")
    lines = ["".join(f"{column:>11}" for column in columns)]
    lines += ["".join(f"{row[column]!s:>11}" for column in columns) for row in table]
    lowest = min(table, key=lambda row: float(row["difference"]))
    lines.append(f"lowest difference {lowest['difference']} points: {lowest['stream']} at {lowest['part']}")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description="L1's hit ratio beside libcachesim's.")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    as_json = parser.parse_args().json
    table = rows()
    print(json.dumps(table, indent=1) if as_json else text(table))


if __name__ == "__main__":
    main()
