"""Heat and warm-up beside an event loop: they read and write files on threads. (Blocking calls fail these tests.)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cacheaside import Cache, Contract

AWAY = "redis://127.0.0.1:1/0"


def made(path: Path, url: str | None = None) -> tuple[Cache, list[int]]:
    """A cache that keeps heat, with one endpoint, and what was loaded."""
    cache = Cache(url, namespace="shop")
    cache.keep_heat(path, every="1h")
    loaded: list[int] = []

    @cache.read("product", Contract(ttl="60s"))
    async def product(product_id: int) -> int:
        await asyncio.sleep(0)
        loaded.append(product_id)
        return product_id

    cache.product = product  # type: ignore[attr-defined]
    return cache, loaded


async def test_a_life_of_a_service_blocks_no_loop(tmp_path: Path) -> None:
    """Begin cold, count, close; begin warm, from the file and from a list: no step of it blocks the loop."""
    cold, loaded = made(tmp_path / "heat")
    async with cold:
        assert (await cold.warm()).problem is not None
        for product_id in range(50):
            await cold.product(product_id)  # type: ignore[attr-defined]
    warm, again = made(tmp_path / "heat")
    async with warm:
        assert (await warm.warm()).loaded == 50
        assert (await warm.warm([("product", (n,)) for n in range(60)])).loaded == 10
    assert sorted(again) == [*loaded, *range(50, 60)]


async def test_where_the_tier_is_away_nothing_is_loaded_in_vain(tmp_path: Path) -> None:
    """What is loaded without the shared tier is not kept, so the source is left alone, and the service begins."""
    cache, loaded = made(tmp_path / "heat", AWAY)
    async with cache:
        report = await cache.warm([("product", (1,))])
    assert report.problem is not None
    assert "the shared tier is away" in report.problem
    assert loaded == []
