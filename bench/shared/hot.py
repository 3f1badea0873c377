"""One hot key that expires again and again, read without a break by callers in four processes; the load takes 100 ms.

Each caller sleeps some 20 ms between two reads, so that the machine is not the limit: what a read waits for is then
the load, or nothing. What a cache may serve meanwhile is what its row is set up for.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bench.rows import OURS, TASKS, THREADS
from bench.shared import peers
from bench.shared.crowd import Crowd
from bench.shared.peers import SharedPeer
from bench.shared.processes import processes, together
from bench.shared.quantiles import quantile
from bench.shared.rows import HotRow
from bench.shared.source import Source, settled
from bench.shared.values import SIZES, product
from cacheaside.testing.servers import Server

SECTION = "hot"
PROCESSES = 4
CALLERS = 25
THINK_S = 0.02
LOAD_S = 0.1
TTL_S = 1.0
HOT_KEY = 42
SIZE = SIZES[0]
START_S = 0.3

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("refreshing")),
    SharedPeer(f"{OURS}, early_refresh", TASKS, peers.ours("early")),
    SharedPeer("cashews, lock=True", TASKS, partial(peers.cashews, lock=True)),
    SharedPeer("cashews, early", TASKS, peers.cashews_early),
    SharedPeer("aiocache, cached_stampede", TASKS, partial(peers.aiocache, stampede=True)),
    SharedPeer(
        "dogpile.cache, distributed_lock",
        THREADS,
        partial(peers.dogpile, distributed_lock=True, thread_local_lock=False),
    ),
]


class Work:
    def __init__(self, peer: SharedPeer, url: str) -> None:
        self.crowd = Crowd(peer.kind)
        self.source = Source(peer.kind, LOAD_S)
        self._read = self.crowd.reading(peer.decorate(url, self.source.loader(SIZE), TTL_S))

    async def warm(self) -> None:
        """The key is loaded and every caller has read it."""

        async def caller() -> Any:
            return await self._read(HOT_KEY)

        await settled(lambda: self.crowd.run([caller] * CALLERS), lambda: self.source.loads)

    async def load_for(self, seconds: float, at_ns: int) -> dict[str, Any]:
        """Read from the moment `at_ns` on: loads, each read's wait, and reads without the value."""
        loads = self.source.loads
        await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))
        end = time.perf_counter() + seconds

        async def caller(number: int) -> tuple[list[float], int]:
            chance = random.Random(number)
            waits: list[float] = []
            failed = 0
            while True:
                await self.crowd.pause(chance.uniform(0, 2 * THINK_S))
                if (started := time.perf_counter()) > end:
                    return waits, failed
                try:
                    failed += await self._read(HOT_KEY) != product(HOT_KEY, SIZE)
                except Exception:  # noqa: BLE001  whatever a cache raises, this read has no value
                    failed += 1
                waits.append(round(time.perf_counter() - started, 6))

        ran = await self.crowd.run([partial(caller, number) for number in range(CALLERS)])
        return {
            "loads": self.source.loads - loads,
            "waits_s": [wait for waits, _ in ran.results for wait in waits],
            "failed": sum(failed for _, failed in ran.results),
        }


def rows(seconds: float, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[HotRow]:
    found = []
    for peer in PEERS:
        if wanted(peer.name):
            progress(f"a hot key for {seconds:g} s, {peer.name}")
            with Server() as server, processes(SECTION, [peer] * PROCESSES, server.url) as running:
                together(running, "warm")
                at_ns = time.monotonic_ns() + int(START_S * 1e9)
                found.append(
                    as_row(peer, seconds, together(running, "load_for", seconds=seconds, at_ns=at_ns))
                )
    return found


def as_row(peer: SharedPeer, seconds: float, answers: Sequence[dict[str, Any]]) -> HotRow:
    waits_s = sorted(wait for answer in answers for wait in answer["waits_s"])
    return HotRow(
        name=peer.name,
        kind=peer.kind,
        periods=seconds / TTL_S,
        loads=sum(answer["loads"] for answer in answers),
        reads=len(waits_s),
        p99_s=quantile(waits_s, 0.99),
        slowest_s=waits_s[-1],
        failed=sum(answer["failed"] for answer in answers),
    )
