"""Ten times what a source can do, while the shared tier is dead: what a real service does then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from cacheaside import Admission, Cache, Contract, Overloaded
from cacheaside.testing.servers import Server

CAPACITY = 4
LOAD_S = 0.2
OFFERED_A_TICK = 2
TICK_S = 0.01
"""Two reads each ten milliseconds: ten times the twenty loads a second that the source can do."""
FOR_S = 4.0


class Source:
    """Works on `CAPACITY` loads at once; those beyond wait inside it, as in a pool of connections."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(CAPACITY)
        self.inside = self.peak = 0
        self.ended_s = 0.0
        self.working: dict[object, float] = {}

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Source]:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            yield self
        finally:
            self.inside -= 1

    async def query(self) -> None:
        async with self.free:
            one = object()
            self.working[one] = time.monotonic()
            await asyncio.sleep(LOAD_S)
            self.ended_s += time.monotonic() - self.working.pop(one)

    def worked_s(self) -> float:
        """How long all of its places were at work so far, together. On a busy machine a load takes longer, and its
        place is at work for as long."""
        now = time.monotonic()
        return self.ended_s + sum(now - since for since in self.working.values())


@pytest.mark.parametrize(("adaptive", "share"), [(False, 0.95), (True, 0.8)])
async def test_ten_times_the_capacity_without_a_tier(victim: Server, adaptive: bool, share: float) -> None:
    """With the server killed, ten times the capacity offered: never more loads than the limit, the source is at work
    nineteen twentieths of the time, high reads are answered first, the queue stays within its bound, and nothing is
    left of it. An adaptive limit may be lower for a while: in four seconds it begins to learn, and what a busy machine
    adds to each load counts as the source's."""
    source = Source()
    cache = Cache(victim.url, namespace="overloaded")
    db = cache.source(
        "db",
        open=source.connection,
        limit=Admission(6, floor=3, queue_max=24, adaptive=adaptive),
        timeout="4s",
    )
    answered, refused, waits_peak = Counter[str](), Counter[str](), 0
    retry_after_s: list[float] = []

    @cache.read("high", Contract("60s", priority="high"), source=db)
    async def high(connection: Source, key: int) -> int:
        await connection.query()
        return key

    @cache.read("low", Contract("60s", priority="low"), source=db)
    async def low(connection: Source, key: int) -> int:
        await connection.query()
        return key

    async def ask(key: int) -> None:
        name = "high" if key % 20 == 0 else "low"
        try:
            assert await (high if name == "high" else low)(key) == key
        except Overloaded as error:
            refused[name] += 1
            retry_after_s.append(error.retry_after_s)
        else:
            answered[name] += 1

    async with cache:
        await low(-1)
        await asyncio.to_thread(victim.kill)
        await low(-2)
        began, key, reads_peak, reads = time.monotonic(), 0, 0, set[asyncio.Task[None]]()
        worked_before_s = source.worked_s()
        while (now := time.monotonic()) < began + FOR_S:
            due = int((now - began) / TICK_S) * OFFERED_A_TICK
            while key < due:
                key += 1
                task = asyncio.create_task(ask(key))
                reads.add(task)
                task.add_done_callback(reads.discard)
            waits_peak = max(waits_peak, len(db.limit))
            reads_peak = max(reads_peak, len(reads))
            await asyncio.sleep(TICK_S)
        took_s = time.monotonic() - began
        at_work = (source.worked_s() - worked_before_s) / (CAPACITY * took_s)
        await asyncio.gather(*reads)
    capacity = CAPACITY / LOAD_S * took_s
    stats = db.stats()
    print(
        f"offered {key / capacity:.1f}x, at work {at_work:.3f} of the time, answered {answered}, "
        f"refused {refused}, peak {source.peak}, limit {stats.limit}, reads peak {reads_peak}"
    )
    assert source.peak <= 6
    assert at_work >= share
    assert answered["high"] >= 0.95 * (answered["high"] + refused["high"])
    assert answered["low"] > 0
    assert waits_peak <= 24
    assert reads_peak <= 6 + 24 + 100 * OFFERED_A_TICK  # those under way, and what comes in a second
    assert 0.0 < min(retry_after_s) <= max(retry_after_s) < 4.0
    assert stats.waiting_peak <= 24
    assert (stats.holders, stats.waiting_total, source.inside) == (0, 0, 0)
