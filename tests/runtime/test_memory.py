"""What stays behind: nothing keeps a cache that is dropped, and nothing grows that nobody needs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import pytest

from cacheaside import Cache, Contract
from tests.held import WAIT_S


class Row:
    """Something that a load holds."""


def used_from_threads(kept: list[Any]) -> None:
    cache = Cache(namespace="memory")
    numbers = cache.tag("numbers", int)
    source = cache.source("db", open=contextlib.nullcontext)
    now = 1000.0
    cache._use_clock(lambda: now)

    @cache.read(
        "value", Contract(ttl="60s", grace="5m", jitter=0), source=source, tags=lambda key: [numbers(key)]
    )
    def value(resource: None, key: int) -> int:
        if key < 0:
            raise KeyError(key)
        return key

    for key in range(10):
        value(key)
    with contextlib.suppress(KeyError):
        value(-1)
    now += 61
    value(1)  # refreshed behind
    with cache.changing(numbers(2)):
        pass
    cache.blocking.get_or_load("inline", lambda: 1, Contract(ttl="1s"), type=int)
    cache.close()
    kept += [weakref.ref(cache), weakref.ref(cache._host), weakref.ref(source)]


async def used_from_a_loop(kept: list[Any]) -> None:
    cache = Cache(namespace="memory")
    source = cache.source("db", open=contextlib.nullcontext, timeout="60s")

    @cache.read("value", Contract(ttl="60s", grace="5m", jitter=0), source=source)
    async def value(resource: None, key: int) -> int:
        await asyncio.sleep(0)
        return key

    @cache.read("outer", Contract(ttl="60s"))
    async def outer(key: int) -> int:
        return await value(key)

    await asyncio.gather(*(outer(key % 3) for key in range(30)))
    reading = asyncio.ensure_future(value(99))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await cache.aclose()
    kept += [weakref.ref(cache), weakref.ref(cache._host), weakref.ref(source)]


@pytest.mark.parametrize("colour", ["threads", "loop"])
async def test_a_cache_that_is_dropped_is_collected(colour: str) -> None:
    """After its last use, and with the loop still running, nothing holds a cache, its entries or its sources."""
    kept: list[Any] = []
    if colour == "threads":
        await asyncio.to_thread(used_from_threads, kept)
    else:
        await asyncio.create_task(used_from_a_loop(kept))
    await asyncio.sleep(0)
    gc.collect()
    assert [one() for one in kept] == [None] * 3


async def test_a_context_copied_inside_a_load_keeps_no_cache_alive() -> None:
    """A timer that a loader's library starts carries the load's context for as long as it runs, and only that."""
    kept: list[Any] = []
    timers: list[asyncio.TimerHandle] = []

    async def use() -> None:
        cache = Cache(namespace="memory")

        @cache.read("value", Contract(ttl="60s"))
        async def value(key: int) -> int:
            timers.append(asyncio.get_running_loop().call_later(WAIT_S * 100, int))
            return key

        await value(1)
        kept.append(weakref.ref(cache._host))

    await asyncio.create_task(use())
    await asyncio.sleep(0)
    gc.collect()
    assert [one() for one in kept] == [None]
    timers[0].cancel()


async def test_no_timer_is_left_of_a_load_that_ended() -> None:
    """The timer that watches over a load is cancelled with it: a busy service does not pile them up."""
    cache = Cache(namespace="memory", load_timeout="1h")
    loop: Any = asyncio.get_running_loop()

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        return key

    for key in range(500):
        await value(key)
    await asyncio.sleep(0)
    assert len([timer for timer in loop._scheduled if not timer.cancelled()]) < 10


async def test_a_value_that_is_not_kept_is_let_go() -> None:
    """What a load made is not held by its flight, its task or its followers after they are done."""
    cache = Cache(namespace="memory")
    kept: list[Any] = []

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        row = Row()
        kept.append(weakref.ref(row))
        if key:
            raise ConnectionError("down")
        return key

    await asyncio.gather(*(value(key % 2) for key in range(10)), return_exceptions=True)
    await asyncio.sleep(0)
    gc.collect()
    assert [one() for one in kept] == [None] * len(kept)
    assert len(kept) == 2


async def test_tables_are_empty_at_rest() -> None:
    """When no load is under way, no flight, task, turn or mark is left over."""
    cache = Cache(namespace="memory")
    numbers = cache.tag("numbers", int)
    source = cache.source("db", open=contextlib.nullcontext, limit=2)

    @cache.read("value", Contract(ttl="60s"), source=source, tags=lambda key: [numbers(key)])
    async def value(resource: None, key: int) -> int:
        await asyncio.sleep(0)
        if key % 3 == 0:
            raise ConnectionError("down")
        return key

    async def write(key: int) -> None:
        async with cache.changing(numbers(key)):
            await asyncio.sleep(0)

    await asyncio.gather(
        *(value(key % 7) for key in range(60)), *(write(key) for key in range(7)), return_exceptions=True
    )
    await asyncio.sleep(0)
    host = cache._host
    assert (len(host._async_flights), host.async_crew._flying, host.async_crew._behind) == (0, {}, set())
    assert (source.limit.holders, len(source.limit)) == (0, 0)
    assert host._tier._marks == {}
