"""A service that comes back cold, with and without warm-up: `python -m bench.warming`.

Lives of one service, each a process, over a server of its own and SQLite: it is asked for keys of a Zipf distribution
(exponent 1), and ends; the server is emptied; it comes back, cold or warmed. Requests arrive at their moments whether
or not others were answered (open loop). Each load takes a fixed time on top of its query, as over
a network, so that the source's capacity is known: limit / that time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from cacheaside import Cache, CacheasideError, Contract, Lookup
from cacheaside.testing.servers import Server

KEYS = 20_000
LIMIT = 8
LOAD_S = 0.02
"""So the source answers 400 loads a second."""
RATE = 1_000
"""Requests a second."""
SECONDS = 6
TOP = 2_000
SEED = 7
WINDOW_S = 1.0
BEFORE = 60_000
"""Reads of the life before."""


def zipf(reads: int, seed: int) -> list[int]:
    """A seeded trace; which key is how popular does not depend on the seed."""
    weights = list(itertools.accumulate(1 / k for k in range(1, KEYS + 1)))
    places = list(range(KEYS))
    random.Random(SEED).shuffle(places)
    drawn = random.Random(seed).choices(range(KEYS), cum_weights=weights, k=reads)
    return [places[one] for one in drawn]


class Service:
    """One process of it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.inside = self.peak = self.loads = 0
        self.load_s = LOAD_S
        self.cache = Cache(url, namespace="bench")
        self.cache.keep_heat(folder / "heat", every="1h")
        self.connection = sqlite3.connect(folder / "bench.db")
        source = self.cache.source("db", open=self.opened, limit=LIMIT)

        @self.cache.read("product", Contract(ttl="1h"), source=source)
        async def product(connection: sqlite3.Connection, product_id: int) -> int:
            self.loads += 1
            row = connection.execute("SELECT cents FROM products WHERE id = ?", (product_id,)).fetchone()
            await asyncio.sleep(self.load_s)
            return int(row[0])

        self.product = product

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[sqlite3.Connection]:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            yield self.connection
        finally:
            self.inside -= 1


async def asked(service: Service, trace: Sequence[int], rate: float) -> list[tuple[float, float, str]]:
    """Each request's moment, seconds, and how it went."""
    came: list[tuple[float, float, str]] = []
    began = time.monotonic()

    async def one(at: float, key: int) -> None:
        try:
            answer: Lookup[int] = await service.product.lookup(key)
            how = "hit" if answer.hit else "miss"
        except CacheasideError as error:
            how = type(error).__name__
        came.append((at, time.monotonic() - began - at, how))

    tasks = []
    for number, key in enumerate(trace):
        at = number / rate
        if (wait_s := at - (time.monotonic() - began)) > 0:
            await asyncio.sleep(wait_s)
        tasks.append(asyncio.ensure_future(one(at, key)))
    await asyncio.gather(*tasks)
    return came


async def live(folder: Path, url: str, mode: str) -> dict[str, Any]:
    """One life: "before", "cold" or "warmed"."""
    service = Service(folder, url)
    report = None
    async with service.cache:
        if mode == "before":
            service.load_s = 0.0
            for key in zipf(BEFORE, 1):
                await service.product(key)
            return {"loads": service.loads}
        if mode == "warmed":
            report = (await service.cache.warm(top=TOP)).as_dict()
        warm_peak, service.peak, loads = service.peak, 0, service.loads
        came = await asked(service, zipf(RATE * SECONDS, 2), RATE)
        windows = []
        for number in range(int(SECONDS / WINDOW_S)):
            some = [c for c in came if number * WINDOW_S <= c[0] < (number + 1) * WINDOW_S]
            took = sorted(c[1] for c in some)
            windows.append(
                {
                    "hit_rate": sum(c[2] == "hit" for c in some) / len(some),
                    "p50_ms": 1e3 * took[len(took) // 2],
                    "p99_ms": 1e3 * took[int(len(took) * 0.99)],
                    "refused": sum(c[2] not in ("hit", "miss") for c in some),
                }
            )
        return {
            "warm": report,
            "warm_peak": warm_peak,
            "peak": service.peak,
            "loads": service.loads - loads,
            "windows": windows,
        }


def in_a_process(folder: Path, url: str, mode: str) -> dict[str, Any]:
    """One life, in a process of its own."""
    command = [sys.executable, "-m", "bench.warming", "--life", mode, "--folder", str(folder), "--url", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made(folder: Path) -> None:
    """The database."""
    with closing(sqlite3.connect(folder / "bench.db")) as connection, connection:
        connection.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, cents INTEGER)")
        connection.executemany("INSERT INTO products VALUES (?, ?)", [(n, n) for n in range(KEYS)])


def show(mode: str, found: dict[str, Any]) -> None:
    """One life, for people."""
    warm = found["warm"]
    print(f"\n{mode}")
    if warm is not None:
        print(
            f"  warm-up: {warm['loaded']:,} of {warm['asked']:,} keys loaded in {warm['seconds']:.1f} s, "
            f"source concurrency {found['warm_peak']} of {LIMIT}"
        )
    print(f"  under load: {found['loads']:,} loads, source concurrency at most {found['peak']} of {LIMIT}")
    print("  second   hit rate     p50       p99   refused")
    for number, one in enumerate(found["windows"], 1):
        hit, p50, p99 = one["hit_rate"], one["p50_ms"], one["p99_ms"]
        print(f"  {number:6d} {hit:9.1%} {p50:8.1f} ms {p99:7.0f} ms {one['refused']:6,d}")


def main() -> None:
    """Run it, or one life of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", choices=["before", "cold", "warmed"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.life:
        print(json.dumps(asyncio.run(live(given.folder, given.url, given.life))))
        return
    print(
        f"{KEYS:,} keys, {RATE:,} requests a second; the source: {LIMIT} loads at once of {LOAD_S * 1e3:.0f} ms each"
    )
    with tempfile.TemporaryDirectory() as name, Server() as server:
        folder = Path(name)
        made(folder)
        in_a_process(folder, server.url, "before")
        for mode in ("cold", "warmed"):
            server.ask("FLUSHALL")
            show(mode, in_a_process(folder, server.url, mode))


if __name__ == "__main__":
    main()
