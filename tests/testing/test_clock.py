"""The clock for tests: ages follow it, on every path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, Served
from cacheaside.testing import Clock


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="clock")


def test_it_moves_only_when_told_to() -> None:
    """Time stands still, goes forward by durations as they are written elsewhere, and never back."""
    clock = Clock()
    start = clock.now()
    assert clock.now() == start
    clock.advance("1m 1s")
    clock.advance(0.5)
    assert clock.now() == start + 61.5
    with pytest.raises(DeclarationError, match="advance"):
        clock.advance(-1)


def test_hits_and_misses_follow_it(cache: Cache) -> None:
    """The fast path and the slow one, in endpoints declared before and after, tell the time by it."""

    @cache.read("before", Contract(ttl="60s", jitter=0))
    def before(key: int) -> int:
        return key

    with Clock().use(cache) as clock:

        @cache.read("after", Contract(ttl="60s", jitter=0))
        async def after(key: int) -> int:
            return key

        def loads() -> list[int]:
            before(1)
            asyncio.run(after.lookup(1))
            return [cache.stats().endpoints[name].loads for name in ("before", "after")]

        assert loads() == [1, 1]
        clock.advance("59.9s")
        assert loads() == [1, 1]
        clock.advance("0.2s")
        assert loads() == [2, 2]


def test_nothing_loaded_by_one_clock_is_served_by_another(cache: Cache) -> None:
    """At both ends of the block the cache is empty: an entry from a clock far ahead would otherwise never age."""

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        return key

    value(1)
    with Clock().use(cache) as clock:
        clock.advance("1000d")
        assert value.lookup(1).served is Served.LOADED
        assert value.lookup(1).served is Served.FRESH
    assert value.lookup(1).served is Served.LOADED


def test_blocks_may_stand_in_each_other(cache: Cache) -> None:
    """An inner clock gives way to the outer one, and that to the system's; other caches are not touched."""
    other = Cache(namespace="other")
    outer, inner = Clock(), Clock()
    system = cache._host.clock.read
    with outer.use(cache), inner.use(cache, other):
        assert cache._host.clock.read == inner.now
        assert other._host.clock.read == inner.now
    assert cache._host.clock.read is system
    with outer.use(cache):
        with inner.use(cache):
            pass
        assert cache._host.clock.read == outer.now
        assert other._host.clock.read is system


def test_the_mark_of_a_lost_writer_ends_by_it(cache: Cache) -> None:
    """How long a writer that died keeps its tags from being stored is by the test's clock too."""
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    def value(key: int) -> int:
        return key

    with Clock().use(cache) as clock:
        cache.changing(numbers(1)).__enter__()
        assert not value.lookup(1).stored
        clock.advance("31s")
        assert value.lookup(1).stored
        cache.changing(numbers(2)).__enter__()
    assert value.lookup(2).stored  # no mark of the block is left


async def test_a_refresh_is_due_by_it(cache: Cache) -> None:
    """Grace begins and ends when the test says so."""
    row: Any = 1

    @cache.read("value", Contract(ttl="60s", grace="60s", jitter=0))
    async def value(key: int) -> int:
        return row  # type: ignore[no-any-return]

    with Clock().use(cache) as clock:
        await value(1)
        row = 2
        clock.advance("61s")
        assert (await value.lookup(1)).served is Served.GRACE
        await asyncio.gather(*cache._host.async_crew._behind)
        assert await value(1) == 2
        clock.advance("121s")
        assert (await value.lookup(1)).served is Served.LOADED
