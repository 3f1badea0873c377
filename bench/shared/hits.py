"""Decorated reads that have to ask the server: hits a second and CPU time a hit, in lockstep and with think time.

In lockstep each caller reads in a loop, as fast as it is answered. With think time each sleeps a random time before
every read, so that all of them together read some 7,000 times a second: what counts is the CPU time of one read, with
that of callers that only sleep taken off. No two callers ask for the same key at once: nothing is won by sharing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from bench.interleaved import WrongAnswer, require
from bench.rows import OURS, TASKS, THREADS
from bench.shared import handwritten, peers
from bench.shared.crowd import Crowd, Read
from bench.shared.figures import found_keys
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process, processes, together
from bench.shared.rows import ONE_GET, SLEEPING, Round, SharedHitRow, SharedTable, with_ratios
from bench.shared.source import Source, settled
from bench.shared.values import FIRST_ID, SIZES, product
from cacheaside.testing.servers import Server

SECTION = "hits"
TTL_S = 3_600.0
KEYS = 1_000
"""Each is one caller's own: caller n of N reads the keys n, n + N, n + 2N and so on, in turn."""
READS_A_SECOND = 7_000
"""Of all callers with think time together."""
THINKING = 2
"""Rounds with think time are this many times as long, for as many reads."""

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("reading_l2")),
    SharedPeer(ONE_GET, TASKS, handwritten.one_get),
    SharedPeer("redis-py, one GET, no timeout", TASKS, partial(handwritten.one_get, socket_timeout=None)),
    SharedPeer("redis-py, one MGET a tick", TASKS, handwritten.one_mget_a_tick),
    SharedPeer("cashews", TASKS, peers.cashews),
    SharedPeer("aiocache", TASKS, peers.aiocache),
    SharedPeer("fastapi-cache2", TASKS, peers.fastapi_cache),
    SharedPeer(SLEEPING, TASKS, peers.sleeping),
    SharedPeer(OURS, THREADS, peers.ours("reading_l2")),
    SharedPeer(ONE_GET, THREADS, handwritten.one_get_sync),
    SharedPeer(
        "redis-py, one GET, no timeout", THREADS, partial(handwritten.one_get_sync, socket_timeout=None)
    ),
    SharedPeer("dogpile.cache", THREADS, peers.dogpile),
    SharedPeer("django-redis", THREADS, peers.django_redis),
    SharedPeer(SLEEPING, THREADS, peers.sleeping_sync),
]


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """Seed, rounds, how long one row runs in one round, and the sizes of values."""

    seed: int
    rounds: int
    batch_s: float
    sizes: tuple[int, ...] = SIZES


def tables(sizes: tuple[int, ...]) -> list[SharedTable]:
    shapes = [(TASKS, 1, False), (TASKS, 50, False), (TASKS, 500, False), (THREADS, 50, False)]
    shapes += [(TASKS, 50, True), (THREADS, 50, True)]
    return [
        SharedTable(kind, callers, size, callers / READS_A_SECOND if thinking else 0.0)
        for kind, callers, thinking in shapes
        for size in sizes
    ]


# The measured process.


class Work:
    def __init__(self, peer: SharedPeer, url: str) -> None:
        self.crowd = Crowd(peer.kind)
        self.source = Source(peer.kind)
        self._peer, self._url = peer, url
        self._reads: dict[int, Read] = {}

    async def decorate(self, sizes: list[int]) -> None:
        """One endpoint for each size."""
        for size in sizes:
            loader = self.source.loader(size, f"{self._peer.name} {self._peer.kind}")
            self._reads[size] = self.crowd.reading(self._peer.decorate(self._url, loader, TTL_S))

    async def fill(self, size: int) -> None:
        """Read every key until none needs a load."""
        await settled(partial(self.read_all, size), lambda: self.source.loads)

    async def read_all(self, size: int) -> dict[str, int]:
        """Read every key once: how many answers were wrong, and how many loads that took."""
        read, loads = self._reads[size], self.source.loads

        async def caller(first: int) -> int:
            return sum([await read(k) != product(k, size) for k in range(first, KEYS, 20)])

        wrong = await self.crowd.run([partial(caller, first) for first in range(20)])
        return {"wrong": sum(wrong.results), "loads": self.source.loads - loads}

    async def batch(self, size: int, callers: int, think_s: float, batch_s: float) -> dict[str, Any]:
        """Read for a while with many callers."""
        read, crowd = self._reads[size], self.crowd

        async def lockstep(keys: range) -> tuple[int, int]:
            reads = wrong = 0
            end = time.perf_counter() + batch_s
            while time.perf_counter() < end:
                k = keys[reads % len(keys)]
                answer = await read(k)
                wrong += answer.product_id != FIRST_ID + k
                reads += 1
            return reads, wrong

        async def thinking(keys: range) -> tuple[int, int]:
            reads = wrong = 0
            chance = random.Random(keys.start)
            end = time.perf_counter() + batch_s
            while True:
                await crowd.pause(chance.uniform(0, 2 * think_s))
                if time.perf_counter() > end:
                    return reads, wrong
                k = keys[reads % len(keys)]
                answer = await read(k)
                wrong += answer.product_id != FIRST_ID + k
                reads += 1

        body = thinking if think_s else lockstep
        loads = self.source.loads
        ran = await crowd.run([partial(body, range(n, KEYS, callers)) for n in range(callers)])
        reads, wrong = (sum(counts) for counts in zip(*ran.results, strict=True))
        return {
            "reads": reads,
            "wrong": wrong,
            "wall_s": ran.wall_s,
            "cpu_s": ran.cpu_s,
            "loads": self.source.loads - loads,
        }


# The benchmark's own process.


def rows(
    plan: SharedPlan,
    wanted: Callable[[str], bool],
    progress: Callable[[str], None],
    refuse: Callable[[str], None],
) -> list[SharedHitRow]:
    """All rows of all tables, interleaved; floors run whatever is wanted. A row that does not do in a round what its
    table says is not timed any more and is no row; `refuse` is told why.
    """
    chosen = [peer for peer in PEERS if peer.name in (ONE_GET, SLEEPING) or wanted(peer.name)]
    with Server() as server, processes(SECTION, chosen, server.url) as running:
        progress(f"filling and checking {len(running)} caches on a server")
        fill_and_check(running, plan.sizes, server)
        cases = [
            (table, process)
            for table in tables(plan.sizes)
            for process in running
            if process.peer.kind == table.kind and (table.think_s or process.peer.name != SLEEPING)
        ]
        found: dict[tuple[SharedTable, str], list[Round]] = {
            (table, one.peer.name): [] for table, one in cases
        }
        rng = random.Random(plan.seed)
        for number in range(plan.rounds):
            progress(f"{len(cases)} rows of hits on a server, round {number + 1} of {plan.rounds}")
            for table, process in rng.sample(cases, len(cases)):
                try:
                    found[table, process.peer.name].append(one_round(table, process, server, plan.batch_s))
                except WrongAnswer as wrong:
                    refuse(str(wrong))
                    cases.remove((table, process))
                    del found[table, process.peer.name]
    return with_ratios([as_row(table, name, rounds) for (table, name), rounds in found.items()])


def fill_and_check(running: list[Process], sizes: tuple[int, ...], server: Server) -> None:
    """Every key is loaded; after that every cache answers right, without a load, and from the server."""
    together(running, "decorate", sizes=sizes)
    for size in sizes:
        together(running, "fill", size=size)
        for process in running:
            before = found_keys(server)
            answers = process.do("read_all", size=size)
            require(
                answers == {"wrong": 0, "loads": 0}, f"{process.peer.name}, {process.peer.kind}: {answers}"
            )
            _from_server(process, KEYS, found_keys(server) - before)


def one_round(table: SharedTable, process: Process, server: Server, batch_s: float) -> Round:
    before = found_keys(server)
    ran = process.do(
        "batch",
        size=table.value_bytes,
        callers=table.callers,
        think_s=table.think_s,
        batch_s=batch_s * (THINKING if table.think_s else 1),
    )
    require(
        ran["wrong"] == 0 and ran["loads"] == 0,
        f"{table.title}, {process.peer.name}: {ran['wrong']} wrong answers and {ran['loads']} loads in "
        f"{ran['reads']} reads",
    )
    _from_server(process, ran["reads"], found_keys(server) - before)
    return Round(ran["reads"], ran["wall_s"], ran["cpu_s"])


def _from_server(process: Process, reads: int, found: int) -> None:
    require(
        process.peer.name == SLEEPING or found >= reads,
        f"{process.peer.name}: {reads} reads, but the server was asked for {found} keys: these are no hits on it",
    )


def as_row(table: SharedTable, name: str, rounds: list[Round]) -> SharedHitRow:
    """The best round and the median, each figure by itself."""
    per_s = [one.reads / one.wall_s for one in rounds]
    cpu_us = [one.cpu_s / one.reads * 1e6 for one in rounds]
    return SharedHitRow(
        table=table,
        name=name,
        reads=sum(one.reads for one in rounds),
        best_per_s=max(per_s),
        median_per_s=median(per_s),
        least_cpu_us=min(cpu_us),
        median_cpu_us=median(cpu_us),
    )
