"""L1 under free use from many threads and several loops: it stays whole, and nobody reads what was invalidated.

Each row holds a version, which only grows. A writer commits a version, invalidates, and then notes that this is
acknowledged. A reader notes what was acknowledged before it reads; it must not get an older version (G1).
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheaside import Cache, Contract
from tests.held import WAIT_S, Callers
from tests.runtime.loops import LoopThread
from tests.stores.l1.agreement import assert_agreement

KEYS = 12
READS = 1_200
WRITES = 250


@pytest.fixture(autouse=True)
def switches_often() -> Iterator[None]:
    """Threads change places every few bytecodes rather than every 5 ms, so that a test of a second sees many orders."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Versions:
    """Rows that hold versions, what of them was acknowledged, and the reads that were too old."""

    def __init__(self) -> None:
        self.committed = [0] * KEYS
        self.acknowledged = [0] * KEYS
        self.violations: list[str] = []
        self.reads = 0
        self._writing = [threading.Lock() for _ in range(KEYS)]

    def write(self, key: int, invalidate: Callable[[int], None]) -> None:
        with self._writing[key]:
            version = self.committed[key] + 1
            self.committed[key] = version
            invalidate(key)
            self.acknowledged[key] = version

    async def write_on_loop(self, key: int, invalidate: Callable[[int], Any]) -> None:
        # Writers of one row take turns; on a loop that must not be waited for.
        while not self._writing[key].acquire(blocking=False):  # noqa: ASYNC110 - it is a lock of threads
            await asyncio.sleep(0)
        try:
            version = self.committed[key] + 1
            self.committed[key] = version
            await invalidate(key)
            self.acknowledged[key] = version
        finally:
            self._writing[key].release()

    def check(self, what: str, key: int, before: int, got: int) -> None:
        self.reads += 1
        if got < before:
            self.violations.append(
                f"{what}({key}) returned {got}, and {before} was acknowledged before it began"
            )


class Shop:
    """Sync and async endpoints over the same rows: by argument tag, by value tag, nested, and with grace."""

    def __init__(self, cache: Cache, versions: Versions) -> None:
        committed = versions.committed
        rows, groups = cache.tag("rows", int), cache.tag("groups", int)
        self.rows = rows
        contract = Contract(ttl="60s", grace="60s", early_refresh=1.0)

        @cache.read("plain", contract, tags=lambda key: [rows(key)])
        def plain(key: int) -> int:
            return committed[key]

        @cache.read("listed", contract, value_tags=lambda value: [rows(value[0])])
        def listed(key: int) -> list[int]:
            return [key, committed[key]]

        @cache.read("nested", contract, tags=lambda key: [groups(key)])
        def nested(key: int) -> int:
            return plain(key)

        @cache.read("awaited", contract, tags=lambda key: [rows(key)])
        async def awaited(key: int) -> int:
            before = committed[key]
            await asyncio.sleep(0)
            return before

        @cache.read("awaited_nested", contract)
        async def awaited_nested(key: int) -> int:
            inner = await awaited(key)
            await asyncio.sleep(0)
            return min(inner, plain(key))

        self.sync: dict[str, Callable[[int], int]] = {
            "plain": plain,
            "listed": lambda key: listed(key)[1],
            "nested": nested,
            "strong": plain.strong,
        }
        self.awaited: dict[str, Callable[[int], Any]] = {"awaited": awaited, "awaited_nested": awaited_nested}


@pytest.mark.parametrize("entries", [3, 1_000])
def test_no_thread_reads_what_was_invalidated_before(entries: int, seed: int) -> None:
    """Over threads that read, write, bracket, purge and evict at once, no read returns a version older than one that
    was acknowledged before it began; afterwards table, index, eviction and byte count agree."""
    cache = Cache(namespace="free", l1_entries=entries)
    versions = Versions()
    shop = Shop(cache, versions)

    def invalidate(key: int) -> None:
        cache.blocking.invalidate(shop.rows(key))

    def bracket(key: int) -> None:
        with cache.changing(shop.rows(key)):
            pass

    def read(random_: random.Random) -> None:
        names = list(shop.sync)
        for _ in range(READS):
            name, key = random_.choice(names), random_.randrange(KEYS)
            before = versions.acknowledged[key]
            versions.check(name, key, before, shop.sync[name](key))

    def write(random_: random.Random) -> None:
        for _ in range(WRITES):
            versions.write(random_.randrange(KEYS), random_.choice((invalidate, bracket)))

    callers = Callers()
    for number in range(5):
        callers.start(read, random.Random(seed + number))
    for number in range(2):
        callers.start(write, random.Random(seed - 1 - number))
    callers.join()
    cache.close()
    assert callers.errors == []
    assert versions.violations == []
    assert versions.reads == 5 * READS
    assert sum(versions.committed) == 2 * WRITES
    assert_agreement(cache._host.l1)
    assert len(cache._host._blocking_flights) == 0
    assert cache.stats().entries <= entries


def test_no_loop_reads_what_was_invalidated_before(seed: int) -> None:
    """The same over two event loops and threads beside them, with loads that are shared, nested and start over."""
    cache = Cache(namespace="free", l1_entries=8)
    versions = Versions()
    shop = Shop(cache, versions)

    async def invalidate(key: int) -> None:
        await cache.invalidate(shop.rows(key))

    async def bracket(key: int) -> None:
        async with cache.changing(shop.rows(key)):
            await asyncio.sleep(0)

    async def read(random_: random.Random, times: int) -> None:
        for _ in range(times):
            name, key = random_.choice(list(shop.awaited)), random_.randrange(KEYS)
            before = versions.acknowledged[key]
            versions.check(name, key, before, await shop.awaited[name](key))
            if random_.random() < 0.2:
                await asyncio.sleep(0)

    async def write(random_: random.Random) -> None:
        for _ in range(WRITES // 2):
            await versions.write_on_loop(random_.randrange(KEYS), random_.choice((invalidate, bracket)))
            await asyncio.sleep(0)

    async def impatient(random_: random.Random) -> None:
        for _ in range(60):
            reading = asyncio.ensure_future(shop.awaited["awaited_nested"](random_.randrange(KEYS)))
            for _ in range(random_.randrange(4)):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def live(number: int) -> None:
        chances = [random.Random(seed * 100 + number * 10 + one) for one in range(8)]
        async with asyncio.TaskGroup() as group:
            for chance in chances[:6]:
                group.create_task(read(chance, READS // 6))
            group.create_task(write(chances[6]))
            group.create_task(impatient(chances[7]))

    def read_here() -> None:
        random_ = random.Random(seed)
        for _ in range(READS // 2):
            key = random_.randrange(KEYS)
            before = versions.acknowledged[key]
            versions.check("plain", key, before, shop.sync["plain"](key))

    loops = [LoopThread(), LoopThread()]
    callers = Callers()
    callers.start(read_here)
    living = [loop.start(live(number)) for number, loop in enumerate(loops)]
    for one in living:
        one.result(4 * WAIT_S)
    callers.join()
    for loop in loops:
        loop.run(cache.aclose())
        loop.stop()
    assert callers.errors == []
    assert versions.violations == []
    assert versions.reads == 2 * READS + READS // 2
    assert_agreement(cache._host.l1)
    assert len(cache._host._async_flights) == 0
    assert cache._host.async_crew._flying == {}


def test_threads_that_clear_and_count_meanwhile_break_nothing(seed: int) -> None:
    """stats(), clear(), invalidate_all() and purge() from other threads go together with reads and evictions."""
    cache = Cache(namespace="free", l1_entries=5, l1_bytes="16KiB")
    versions = Versions()
    shop = Shop(cache, versions)

    def read(random_: random.Random) -> None:
        for _ in range(READS // 2):
            shop.sync["nested"](random_.randrange(KEYS))

    def disturb(random_: random.Random) -> None:
        for _ in range(150):
            match random_.randrange(4):
                case 0:
                    cache.stats()
                case 1:
                    cache.clear()
                case 2:
                    cache.blocking.invalidate_all()
                case _:
                    cache._host.l1.clear()

    callers = Callers()
    for number in range(3):
        callers.start(read, random.Random(seed + number))
    callers.start(disturb, random.Random(seed - 1))
    callers.join()
    cache.close()
    assert callers.errors == []
    assert_agreement(cache._host.l1)
