"""Four processes with 250 callers each miss one cold key at once, and the load takes 100 ms.

Every process has read another key before, so that what is made once is there. All callers start at one moment of the
clock that processes share; each is timed from the moment its process started them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from bench.rows import OURS, TASKS, THREADS
from bench.shared import peers
from bench.shared.crowd import Crowd
from bench.shared.figures import counted, counts_of
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process, processes, together
from bench.shared.rows import SharedHerdRow
from bench.shared.source import Source, settled
from bench.shared.values import SIZES, product
from cacheaside.testing.servers import Server

SECTION = "herd"
PROCESSES = 4
CALLERS = 250
LOAD_S = 0.1
TTL_S = 3_600.0
WARM_KEY = 0
SIZE = SIZES[0]
START_S = 0.3
"""From telling the processes to their common start."""
SETTLED_S = 0.3
"""After the last answer: what a cache does behind its callers is counted too."""

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("decorate")),
    SharedPeer("cashews", TASKS, peers.cashews),
    SharedPeer("cashews, lock=True", TASKS, partial(peers.cashews, lock=True)),
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

    async def warm(self, callers: int) -> None:
        """As many callers as there will be read another key, until none of them needs a load."""
        crowd = [partial(self._right, WARM_KEY)] * callers
        await settled(lambda: self.crowd.run(crowd), lambda: self.source.loads)

    async def rush(self, key: int, callers: int, at_ns: int) -> dict[str, Any]:
        """All callers ask for `key` at the moment `at_ns`: loads, each one's wait, and who got no value."""
        loads = self.source.loads
        await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))
        started: list[float] = []

        async def caller() -> float | None:
            started.append(time.perf_counter())  # only the first of them counts
            good = await self._right(key)
            return time.perf_counter() - started[0] if good else None

        waits = (await self.crowd.run([caller] * callers)).results
        good = [wait for wait in waits if wait is not None]
        return {
            "loads": self.source.loads - loads,
            "slowest_s": max(good, default=float("inf")),
            "failed": len(waits) - len(good),
        }

    async def _right(self, key: int) -> bool:
        try:
            return bool(await self._read(key) == product(key, SIZE))
        except Exception:  # noqa: BLE001  whatever a cache raises, this caller has no value
            return False


def rows(repeats: int, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[SharedHerdRow]:
    found = []
    for peer in PEERS:
        if wanted(peer.name):
            progress(f"{PROCESSES} processes with {CALLERS} callers of one cold key, {peer.name}")
            with Server() as server, processes(SECTION, [peer] * PROCESSES, server.url) as running:
                together(running, "warm", callers=CALLERS)
                found.append(as_row(peer, [_rush(running, server, key) for key in range(1, repeats + 1)]))
    return found


Outcome = tuple[int, float, int, dict[str, int]]
"""Loads, seconds of the slowest caller, callers without the value, commands."""


def _rush(running: Sequence[Process], server: Server, key: int) -> Outcome:
    before = counts_of(server)
    at_ns = time.monotonic_ns() + int(START_S * 1e9)
    answers = together(running, "rush", key=key, callers=CALLERS, at_ns=at_ns)
    time.sleep(SETTLED_S)
    return (
        sum(answer["loads"] for answer in answers),
        max(answer["slowest_s"] for answer in answers),
        sum(answer["failed"] for answer in answers),
        counted(before, counts_of(server)),
    )


def as_row(peer: SharedPeer, outcomes: Sequence[Outcome]) -> SharedHerdRow:
    loads, slowest_s, failed, commands = zip(*outcomes, strict=True)
    most = max(commands, key=lambda by_command: sum(by_command.values()))
    return SharedHerdRow(
        name=peer.name,
        kind=peer.kind,
        processes=PROCESSES,
        callers=CALLERS,
        loads=max(loads),
        slowest_s=median(slowest_s),
        load_s=LOAD_S,
        commands=sum(most.values()),
        failed=max(failed),
        by_command=most,
    )
