"""What one `many` may ask of its source, and what a disabled cache still does for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield None


async def test_many_without_a_batch_loader_stays_within_its_sources_limit() -> None:
    """One caller with many misses waits for its own loads in turn; it does not overload the source by itself."""
    cache = Cache(namespace="many")
    db = cache.source("db", open=nothing, limit=4)

    @cache.read("item", Contract(ttl="60s"), source=db)
    async def item(resource: None, key: int) -> int:
        await asyncio.sleep(0)
        return key

    assert await item.many(range(500)) == list(range(500))
    assert db.limit.holders_peak <= 4
    assert db.limit.refused == 0


async def test_a_cancelled_many_leaves_no_flow_behind() -> None:
    """Keys whose turn has not come are let go with their caller."""
    cache = Cache(namespace="many")
    started: list[int] = []
    both, hang = asyncio.Event(), asyncio.Event()
    db = cache.source("db", open=nothing, limit=2)

    @cache.read("item", Contract(ttl="60s"), source=db)
    async def item(resource: None, key: int) -> int:
        started.append(key)
        if len(started) == 2:
            both.set()
        await hang.wait()
        return key

    task = asyncio.create_task(item.many(range(10)))
    await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hang.set()
    assert await item(99) == 99
    assert started == [0, 1, 99]


@pytest.mark.parametrize("keys_max", [1, 3, 10, 100])
async def test_a_batch_load_is_asked_for_no_more_keys_than_it_takes(keys_max: int) -> None:
    """More misses than keys_max go in several loads, every key in one of them."""
    cache = Cache(namespace="many")
    asked: list[list[int]] = []

    @cache.read("item", Contract(ttl="60s"))
    async def item(key: int) -> int:
        asked.append([key])  # a single key goes to the plain loader
        return key

    @item.batch(keys_max=keys_max)
    async def items(keys: list[int]) -> dict[int, int]:
        asked.append(keys)
        return {key: key for key in keys}

    assert await item.many(range(10)) == list(range(10))
    assert sorted(itertools.chain(*asked)) == list(range(10))
    assert max(map(len, asked)) <= keys_max
    stats = cache.stats().endpoints["item"]
    assert (stats.loads, stats.keys_loaded) == (len(asked), 10) == (-(-10 // keys_max), 10)


def test_a_batch_size_that_is_none_is_refused() -> None:
    """keys_max bounds a load; zero, true and text do not."""
    cache = Cache(namespace="many")

    @cache.read("item", Contract(ttl="60s"))
    def item(key: int) -> int:
        return key

    wrong: list[Any] = [0, True, "5"]
    for keys_max in wrong:
        with pytest.raises(DeclarationError, match="keys_max"):

            @item.batch(keys_max=keys_max)
            def items(keys: list[int]) -> list[int]:
                return keys


async def test_a_disabled_cache_still_shares_a_load_and_keeps_nothing() -> None:
    """Switching the cache off must not turn a herd loose on the source."""
    cache = Cache(namespace="many")

    @cache.read("item", Contract(ttl="60s"))
    async def item(key: int) -> int:
        await asyncio.sleep(0)
        return key

    cache.disable()
    assert await asyncio.gather(*[item(7) for _ in range(300)]) == [7] * 300
    stats = cache.stats().endpoints["item"]
    assert (stats.loads, stats.misses["bypass"], stats.entries) == (1, 300, 0)
    assert await item.many([7, 8, 7]) == [7, 8, 7]
    assert cache.stats().endpoints["item"].misses["bypass"] == 302


async def test_a_disabled_cache_can_be_one_that_is_not_there() -> None:
    """To compare with no cache at all, every read makes a load of its own."""
    cache = Cache(namespace="many")

    @cache.read("item", Contract(ttl="60s"))
    async def item(key: int) -> int:
        await asyncio.sleep(0)
        return key

    cache.disable(share_loads=False)
    assert await asyncio.gather(*[item(7) for _ in range(10)]) == [7] * 10
    stats = cache.stats().endpoints["item"]
    assert (stats.loads, stats.misses["bypass"], stats.misses["strong"], stats.entries) == (10, 10, 0, 0)


async def test_loads_that_do_not_share_show_in_loads_per_missed_key() -> None:
    """Strong reads that come together load the same key several times, and the number says so."""
    cache = Cache(namespace="many")

    @cache.read("item", Contract(ttl="60s"))
    async def item(key: int) -> int:
        await asyncio.sleep(0)
        return key

    await asyncio.gather(*[item.strong(7) for _ in range(10)])
    stats = cache.stats().endpoints["item"]
    assert (stats.keys_loaded, stats.loads_per_missed_key) == (10, 10.0)
