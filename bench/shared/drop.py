"""How long after an acknowledged invalidation the processes go on serving the old value from memory.

Four processes read one key without a break, and a fifth invalidates its tag 20 times a second. A value is the moment
at which its load began, by the clock that processes share, so every read tells how old its answer is. What is
measured ends with the *start* of the first read that is not answered with the old value, so it includes the time for
which the process did not look (some 1 ms). A process that heard before the writer had its acknowledgement counts as 0.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.interleaved import require
from bench.rows import OURS, TASKS
from bench.shared import handwritten, peers
from bench.shared.figures import found_keys
from bench.shared.handwritten import Load
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process, processes, together
from bench.shared.quantiles import quantile
from bench.shared.rows import DropRow
from bench.shared.source import settled
from cacheaside.testing.servers import Server

SECTION = "drop"
PROCESSES = 4
A_SECOND = 20
KEY = 42
TTL_S = 3_600.0
START_S = 0.3
AFTER_S = 0.3
"""How long the readers go on after the last invalidation."""
READS_A_QUESTION = 5
"""Reads for each key the server was asked for, at least; else they were not answered from L1."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What a reading process does with its time: read for `burst_s`, then sleep for `pause_s`, and so on."""

    name: str
    burst_s: float
    pause_s: float


DUTIES = [Duty("a core to spare", 0.0001, 0.0009), Duty("every core busy", 0.001, 0.0)]

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("watched")),
    SharedPeer("no L1: redis-py, one GET", TASKS, handwritten.watched),
]


class Work:
    def __init__(self, peer: SharedPeer, url: str) -> None:
        # In this section `decorate` returns a pair: the endpoint, and what invalidates the tag of a key.
        self._read: Load
        self._invalidate: Load
        self._read, self._invalidate = peer.decorate(url, loaded_at, TTL_S)

    async def warm(self) -> None:
        """The key is read until two reads answer with one load: then the value is kept somewhere."""
        loaded = [0]

        async def once() -> None:
            if (value := await self._read(KEY)) != loaded[-1]:
                loaded.append(value)

        await settled(once, lambda: len(loaded))

    async def watch(self, burst_s: float, pause_s: float, from_ns: int, until_ns: int) -> dict[str, Any]:
        """Read until `until_ns`: when each new value was first seen (start of the read, the value), and how busy."""
        burst_ns = int(burst_s * 1e9)
        changes: list[tuple[int, int]] = []
        reads = last = 0
        read, clock = self._read, time.monotonic_ns
        await asyncio.sleep(max(0.0, (from_ns - clock()) / 1e9))
        wall, cpu = time.perf_counter(), time.process_time()
        while (now := clock()) < until_ns:
            end = now + burst_ns
            while (now := clock()) < end:
                loaded = await read(KEY)
                reads += 1
                if loaded != last:
                    changes.append((now, loaded))
                    last = loaded
            await asyncio.sleep(pause_s)
        busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
        return {"changes": changes, "reads": reads, "busy": busy}

    async def write(self, from_ns: int, until_ns: int) -> dict[str, Any]:
        """Invalidate the key's tag again and again: when each was sent and when it was acknowledged, and how many were
        not.
        """
        written: list[tuple[int, int]] = []
        unacknowledged = 0
        chance = random.Random(0)
        at_ns = from_ns
        while at_ns < until_ns:
            await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))
            sent = time.monotonic_ns()
            try:
                await self._invalidate(KEY)
            except Exception:  # noqa: BLE001  nothing is promised to a writer who was told that it failed
                unacknowledged += 1
            else:
                written.append((sent, time.monotonic_ns()))
            at_ns += int(chance.uniform(0.8, 1.2) / A_SECOND * 1e9)  # in no step with the readers
        return {"written": written, "unacknowledged": unacknowledged}


async def loaded_at(k: int) -> int:
    """The moment at which this load began."""
    return time.monotonic_ns()


def rows(seconds: float, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[DropRow]:
    found = []
    for peer in PEERS:
        if wanted(peer.name):
            with Server() as server, processes(SECTION, [peer] * (PROCESSES + 1), server.url) as running:
                together(running, "warm")
                for duty in DUTIES:
                    progress(f"invalidations for {seconds:g} s, {duty.name}, {peer.name}")
                    asked = found_keys(server)
                    wrote, seen = _write_and_watch(running, duty, seconds)
                    asked, reads = found_keys(server) - asked, sum(one["reads"] for one in seen)
                    require(
                        peer.name != OURS or asked * READS_A_QUESTION < reads,
                        f"{peer.name}: the server was asked for {asked} keys in {reads} reads: these are not of L1",
                    )
                    found.append(as_row(peer, duty, wrote, seen))
    return found


def _write_and_watch(
    running: Sequence[Process], duty: Duty, seconds: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the last of the processes wrote, and what each of the others saw meanwhile."""
    *readers, writer = running
    now = time.monotonic_ns()
    start = now + int(START_S * 1e9)
    end = start + int(seconds * 1e9)
    for reader in readers:
        reader.ask(
            "watch",
            burst_s=duty.burst_s,
            pause_s=duty.pause_s,
            from_ns=(now + start) // 2,
            until_ns=end + int(AFTER_S * 1e9),
        )
    wrote = writer.do("write", from_ns=start, until_ns=end)
    return wrote, [reader.answer() for reader in readers]


Written = Sequence[tuple[int, int]]
"""Invalidations: when sent and when acknowledged, in ns."""
Changes = Sequence[tuple[int, int]]
"""What one process saw: when the first read of a value began, and when that value's load began, in ns."""


def drops_ns(written: Written, changes: Changes) -> tuple[list[int], int]:
    """For each invalidation, from its acknowledgement to the first read that began and did not return a value loaded
    before it was sent; 0 when that read began before the acknowledgement. And how many no such read followed.
    """
    newest: list[int] = []
    for _, loaded in changes:
        newest.append(max(loaded, newest[-1] if newest else loaded))
    found, missed = [], 0
    for sent, acknowledged in written:
        at = bisect_left(newest, sent)
        if at == len(newest):
            missed += 1
        else:
            found.append(max(0, changes[at][0] - acknowledged))
    return found, missed


def stale(written: Written, changes: Changes) -> int:
    """How many values were first seen by a read that began after the acknowledgement of an invalidation which was
    sent after that value's load began: old values that came back.
    """
    acknowledged = [done for _, done in written]
    found = 0
    for at, loaded in changes:
        before = bisect_left(acknowledged, at)
        found += before > 0 and written[before - 1][0] > loaded
    return found


def as_row(peer: SharedPeer, duty: Duty, wrote: dict[str, Any], seen: Sequence[dict[str, Any]]) -> DropRow:
    written: Written = wrote["written"]
    each = [drops_ns(written, one["changes"]) for one in seen]
    drops_s = sorted(drop / 1e9 for drops, _ in each for drop in drops) or [float("inf")]
    return DropRow(
        name=peer.name,
        load=duty.name,
        busy=sum(one["busy"] for one in seen) / len(seen),
        processes=len(seen),
        invalidations=len(written),
        unacknowledged=wrote["unacknowledged"],
        p50_s=quantile(drops_s, 0.5),
        p99_s=quantile(drops_s, 0.99),
        worst_s=drops_s[-1],
        missed=sum(missed for _, missed in each),
        stale=sum(stale(written, one["changes"]) for one in seen),
    )
