"""What warming up is for: a service whose server was emptied comes back. On a real server, over SQLite."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cacheaside import Cache, Contract
from cacheaside.testing.servers import Server
from tests.warm.test_sketch import zipf

pytestmark = pytest.mark.blocks_loop  # SQLite does

KEYS = 2_000
LIMIT = 16
BURST = 40


@dataclass
class First:
    """The first reads of a process: how many the cache answered, and what the source saw of them."""

    hit_rate: float
    loads: int
    peak: int


class Service:
    """One process, asked in bursts."""

    def __init__(self, folder: Path, url: str, heat: str) -> None:
        self.loads = self.inside = self.peak = 0
        self.cache = Cache(url, namespace="effect", deadline="5s")
        self.cache.keep_heat(folder / heat, every="1h")
        self.connection = sqlite3.connect(folder / "shop.db")
        source = self.cache.source("db", open=self.opened, limit=LIMIT)

        @self.cache.read("product", Contract(ttl="1h"), source=source)
        async def product(connection: sqlite3.Connection, product_id: int) -> int:
            self.loads += 1
            (cents,) = connection.execute("SELECT cents FROM products WHERE id = ?", (product_id,)).fetchone()
            await asyncio.sleep(0.001)
            return int(cents)

        self.product = product

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[sqlite3.Connection]:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            yield self.connection
        finally:
            self.inside -= 1

    async def asked(self, trace: list[int]) -> None:
        for start in range(0, len(trace), BURST):
            await asyncio.gather(*[self.product(key) for key in trace[start : start + BURST]])

    async def first(self, trace: list[int]) -> First:
        """What becomes of the first reads, each burst of which comes at once."""
        self.loads = self.peak = 0
        before = self.cache.stats().endpoints["product"]
        await self.asked(trace)
        after = self.cache.stats().endpoints["product"]
        hits, reads = after.hits - before.hits, after.reads - before.reads
        return First(hits / reads, self.loads, self.peak)

    async def end(self) -> None:
        await self.cache.aclose()
        self.connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


async def test_a_service_that_comes_back_after_a_flush_is_asked_for_what_it_has(
    tmp_path: Path, server: Server
) -> None:
    """With the heat of the process before, the first reads hit as they did there, and the source sees a third of the
    loads, at no more than half of its width while it is warmed."""
    print("seed 5 and 6")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as made, made:
        made.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, cents INTEGER)")
        made.executemany("INSERT INTO products VALUES (?, ?)", [(n, n) for n in range(KEYS)])
    places = list(range(KEYS))
    random.Random(0).shuffle(places)
    before, then = (
        [places[k] for k in zipf(KEYS, reads, 1.0, seed)] for reads, seed in ((20_000, 5), (1_000, 6))
    )

    service = Service(tmp_path, server.url, "heat")
    await service.asked(before)
    await service.end()

    server.ask("FLUSHALL")
    service = Service(tmp_path, server.url, "none")
    cold = await service.first(then)
    await service.end()

    server.ask("FLUSHALL")
    service = Service(tmp_path, server.url, "heat")
    report = await service.cache.warm(top=KEYS // 2)
    warming_peak = service.peak
    warmed = await service.first(then)
    await service.end()

    print(cold, warmed, report)
    assert report.loaded == KEYS // 2
    assert warming_peak <= LIMIT // 2
    assert warmed.hit_rate > 0.85 > cold.hit_rate + 0.2
    assert warmed.loads * 3 < cold.loads
    assert warmed.peak < cold.peak
