"""A process ends and another begins: with the heat of the first, its first readers find what they want."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from cacheaside import Cache, Contract
from cacheaside.warm import Progress

Product = Callable[[int], Awaitable[int]]


def service(heat: Path) -> tuple[Cache, Product, list[int]]:
    """One process of it: its cache, an endpoint, and the loads that it makes."""
    cache = Cache(namespace="shop")
    cache.keep_heat(heat)
    loads: list[int] = []

    @cache.read("product", Contract(ttl="10m"))
    async def product(product_id: int) -> int:
        loads.append(product_id)
        await asyncio.sleep(0.002)
        return 100 * product_id

    return cache, product, loads


def asked_for(reads: int, seed: int) -> list[int]:
    """Few products are asked for often."""
    return [int(random.Random(seed + n).paretovariate(0.8)) for n in range(reads)]


def told(now: Progress) -> None:
    print(f"  {now.done} of {now.asked} keys, {now.eta_s or 0:.1f} s left")


async def first_readers(product: Product, loads: list[int]) -> str:
    before = len(loads)
    for product_id in asked_for(500, seed=5000):
        await product(product_id)
    return f"500 reads, {len(loads) - before} of them went to the database"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        heat = Path(folder) / "heat"
        cache, product, _ = service(heat)
        async with cache:
            for product_id in asked_for(3000, seed=0):
                await product(product_id)
        print("the file:", *heat.read_text().splitlines()[1:4], sep="\n  ")

        cache, product, loads = service(Path(folder) / "none")
        async with cache:
            print("cold:  ", await first_readers(product, loads))

        cache, product, loads = service(heat)
        async with cache:
            print(await cache.warm(top=200, progress=told))
            print("warmed:", await first_readers(product, loads))


if __name__ == "__main__":
    asyncio.run(main())
