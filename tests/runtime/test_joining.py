"""Joining is a read too (G1): a load that began before a write was acknowledged answers nobody who came after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cacheaside import Cache, Contract, Served
from tests.held import settled


class Rows:
    """A source with one row; each load reads it at once, and is answered when the test says so."""

    def __init__(self) -> None:
        self.row = 1
        self.loads: list[tuple[int, asyncio.Event]] = []
        self._began = asyncio.Condition()

    async def load(self) -> int:
        seen, may_answer = self.row, asyncio.Event()
        self.loads.append((seen, may_answer))
        async with self._began:
            self._began.notify_all()
        await may_answer.wait()
        return seen

    async def until_began(self, count: int) -> None:
        async with asyncio.timeout(20), self._began:
            await self._began.wait_for(lambda: len(self.loads) >= count)

    def answer(self, number: int) -> None:
        self.loads[number][1].set()


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="joining")


@pytest.fixture
async def rows() -> Rows:
    return Rows()


@pytest.fixture
def numbers(cache: Cache) -> Any:
    return cache.tag("numbers", int)


@pytest.fixture
def parities(cache: Cache) -> Any:
    return cache.tag("parities", int)


@pytest.fixture
def value(cache: Cache, rows: Rows, numbers: Any, parities: Any) -> Any:
    @cache.read(
        "value",
        Contract(ttl="60s"),
        tags=lambda key: [numbers(key)],
        value_tags=lambda value: [parities(value % 2)],
    )
    async def value(key: int) -> int:
        return await rows.load()

    return value


async def test_who_comes_after_an_invalidation_does_not_join_an_older_load(
    cache: Cache, rows: Rows, value: Any, numbers: Any
) -> None:
    """A reader that starts after an invalidation was acknowledged gets what was written, whatever is open."""
    early = asyncio.create_task(value(1))
    await rows.until_began(1)
    rows.row = 2
    await cache.invalidate(numbers(1))
    late = asyncio.create_task(value(1))
    await rows.until_began(2)
    rows.answer(0)
    assert await early == 1  # it came before the write: either value is right
    rows.answer(1)
    assert await late == 2
    assert await value(1) == 2
    assert len(rows.loads) == 2


async def test_the_older_load_is_not_kept(cache: Cache, rows: Rows, value: Any, numbers: Any) -> None:
    """A load that lands after an invalidation of its tag does not enter the cache, and says why."""
    early = asyncio.create_task(value.lookup(1))
    await rows.until_began(1)
    rows.row = 2
    await cache.invalidate(numbers(1))
    rows.answer(0)
    found = await early
    assert (found.stored, found.not_stored) == (False, "moved")
    assert cache.stats().entries == 0


async def test_the_younger_load_is_kept_whichever_lands_first(
    cache: Cache, rows: Rows, value: Any, numbers: Any
) -> None:
    """When the load from after the write lands before the one from before it, the new value stays."""
    early = asyncio.create_task(value(1))
    await rows.until_began(1)
    rows.row = 2
    await cache.invalidate(numbers(1))
    late = asyncio.create_task(value(1))
    await rows.until_began(2)
    rows.answer(1)
    assert await late == 2
    rows.answer(0)
    assert await early == 1
    assert (await value.lookup(1)).served is Served.FRESH
    assert await value(1) == 2


async def test_who_joined_before_the_invalidation_starts_over_once(
    cache: Cache, rows: Rows, value: Any, numbers: Any
) -> None:
    """A follower of a load that moved begins again, together with all others of them, and is then answered."""
    leader = asyncio.create_task(value(1))
    await rows.until_began(1)
    followers = [asyncio.create_task(value.lookup(1)) for _ in range(10)]
    await settled(cache._host._async_flights, value.key(1), 11)
    rows.row = 2
    await cache.invalidate(numbers(1))
    rows.answer(0)
    assert await leader == 1
    await rows.until_began(2)
    await settled(cache._host._async_flights, value.key(1), 10)
    rows.row = 3
    await cache.invalidate(
        numbers(1)
    )  # and again: their second load began after they came, so it answers them
    rows.answer(1)
    found = await asyncio.gather(*followers)
    assert {one.value for one in found} == {2}
    assert len(rows.loads) == 2


async def test_a_tag_found_in_the_value_counts_as_well(
    cache: Cache, rows: Rows, value: Any, parities: Any
) -> None:
    """An invalidation of a tag that only the value names, while it is loaded, is not missed by joiners nor by L1."""
    early = asyncio.create_task(value(1))
    await rows.until_began(1)
    rows.row = 3
    await cache.invalidate(parities(1))  # the row was 1: its value will name this tag
    late = asyncio.create_task(value(1))
    await settled(cache._host._async_flights, value.key(1), 2)  # its tags are not known yet: it joins
    rows.answer(0)
    assert await early == 1
    await rows.until_began(2)
    rows.answer(1)
    assert await late == 3
    assert (await value.lookup(1)).served is Served.FRESH


async def test_a_bracket_closes_the_load_that_began_before_it(
    cache: Cache, rows: Rows, value: Any, numbers: Any
) -> None:
    """What is loaded while a write is under way is returned and not stored; after it, readers see the write."""
    early = asyncio.create_task(value(1))
    await rows.until_began(1)
    async with cache.changing(numbers(1)):
        within = asyncio.create_task(value.lookup(1))
        await rows.until_began(2)
        rows.answer(1)
        found = await within
        assert (found.value, found.not_stored) == (1, "writer")
        rows.row = 2
    rows.answer(0)
    assert await early == 1
    assert cache.stats().entries == 0
    after = asyncio.create_task(value(1))
    await rows.until_began(3)
    rows.answer(2)
    assert await after == 2


async def test_a_purge_reaches_what_is_being_loaded(cache: Cache, rows: Rows, value: Any) -> None:
    """A value that is purged while it is loaded is not stored after."""
    reading = asyncio.create_task(value(1))
    await rows.until_began(1)
    await value.purge(1)
    rows.answer(0)
    assert await reading == 1
    assert cache.stats().entries == 0


async def test_clearing_reaches_what_is_being_loaded(cache: Cache, rows: Rows, value: Any) -> None:
    """cache.clear() leaves nothing, and lets nothing in that was being loaded."""
    reading = asyncio.create_task(value(1))
    await rows.until_began(1)
    cache.clear()
    rows.answer(0)
    assert await reading == 1
    assert cache.stats().entries == 0


async def test_an_early_reader_takes_what_it_led(cache: Cache, rows: Rows, value: Any, numbers: Any) -> None:
    """A leader whose load moved is answered by it: its read began before the write, and no second load is made."""
    reading = asyncio.create_task(value(1))
    await rows.until_began(1)
    await cache.invalidate(numbers(1))
    rows.answer(0)
    assert await reading == 1
    assert cache.stats().endpoints["value"].loads == 1
