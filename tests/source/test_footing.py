"""Loads inside loads of one source: they neither wait for each other nor go beyond its limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from cacheaside import Cache, Contract
from cacheaside.source.footing import Footing, footing
from cacheaside.source.limit import Limit
from tests.held import WAIT_S, HeldLoads


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="footing")


def stand(limit: Limit, around: Footing | None = None, wake: Callable[[], bool] = lambda: True) -> Footing:
    return footing(limit, around, wake, lambda: False)


def test_a_load_inside_takes_a_turn_of_its_own_if_one_is_free() -> None:
    """As long as there are turns, each load counts, outer or inner."""
    limit = Limit(3, 10)
    outer = stand(limit)
    inner = stand(limit, outer)
    assert limit.holders == 2
    inner.leave()
    assert limit.holders == 1
    outer.leave()
    assert limit.holders == 0


def test_without_a_free_turn_the_outer_one_is_borrowed_by_one_at_a_time() -> None:
    """Loads inside a load share its turn when there is no other: the first at once, the next after it."""
    limit, heard = Limit(1, 10), list[int]()

    def listens() -> bool:
        heard.append(2)
        return True

    outer = stand(limit)
    first = stand(limit, outer)
    second = stand(limit, outer, listens)
    assert (first.turn.granted, second.turn.granted, limit.holders) == (True, False, 1)
    first.leave()
    assert heard == [2]
    assert second.turn.granted
    second.leave()
    outer.leave()
    assert limit.holders == 0


def test_a_borrowed_turn_is_given_back_with_the_last_who_stands_on_it() -> None:
    """A load that outlives the one around it keeps the turn that it borrowed, so the limit still counts it."""
    limit = Limit(1, 10)
    outer = stand(limit)
    inner = stand(limit, outer)
    innermost = stand(limit, inner)
    outer.leave()
    inner.leave()
    assert limit.holders == 1
    innermost.leave()
    assert limit.holders == 0


def test_who_comes_when_the_outer_turn_is_gone_asks_as_anybody() -> None:
    """A task that outlived the load it was started in has no turn to borrow."""
    limit = Limit(1, 10)
    outer = stand(limit)
    outer.leave()
    other = stand(limit)
    late = stand(limit, outer)
    assert not late.turn.granted
    assert late.under is None
    other.leave()
    assert late.turn.granted
    late.leave()
    assert limit.holders == 0


async def test_nested_loads_of_one_source_do_not_deadlock_at_limit_one(cache: Cache) -> None:
    """With a single turn, outer loads that each need inner loads of the same source all come to an end."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)

    @cache.read("leaf", Contract(ttl="60s"), source=source)
    async def leaf(resource: None, key: int) -> int:
        await asyncio.sleep(0)
        return key

    @cache.read("branch", Contract(ttl="60s"), source=source)
    async def branch(resource: None, key: int) -> int:
        return await leaf(key) + await leaf(key + 1)

    @cache.read("tree", Contract(ttl="60s"), source=source)
    async def tree(resource: None, key: int) -> int:
        return await branch(key) + await branch(key + 2)

    async with asyncio.timeout(WAIT_S):
        assert await asyncio.gather(*(tree(10 * key) for key in range(8))) == [
            40 * key + 8 - 2 for key in range(8)
        ]
    assert source.limit.holders == 0
    assert source.limit.holders_peak == 1


def test_nested_loads_on_threads_do_not_deadlock_at_limit_one(cache: Cache) -> None:
    """The same on threads: recursion through one source with one turn ends."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1, timeout="5s")

    @cache.read("sum", Contract(ttl="60s"), source=source)
    def sum_to(resource: None, key: int) -> int:
        return key + sum_to(key - 1) if key else 0

    assert sum_to(20) == 210
    assert source.limit.holders == 0


async def test_a_loader_that_gathers_reads_stays_within_the_limit(cache: Cache) -> None:
    """Fifty reads that one load starts at once do not put fifty loads on a source whose limit is two."""
    source = cache.source("db", open=contextlib.nullcontext, limit=2)
    inside = peak = 0

    @cache.read("part", Contract(ttl="60s"), source=source)
    async def part(resource: None, key: int) -> int:
        nonlocal inside, peak
        inside += 1
        peak = max(peak, inside)
        await asyncio.sleep(0)
        inside -= 1
        return key

    @cache.read("whole", Contract(ttl="60s"), source=source)
    async def whole(resource: None, key: int) -> int:
        return sum(await asyncio.gather(*(part(100 * key + i) for i in range(50))))

    async with asyncio.timeout(WAIT_S):
        found = list(await asyncio.gather(whole(0), whole(1)))
    assert found == [sum(range(50)), sum(range(100, 150))]
    assert 1 <= peak <= 2
    assert source.limit.holders == 0


async def test_a_cancelled_borrower_frees_the_loan(cache: Cache) -> None:
    """A nested load that is cancelled while it waits to borrow, or has borrowed, leaves the loan to the others."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)
    held = HeldLoads()

    @cache.read("part", Contract(ttl="60s"), source=source)
    async def part(resource: None, key: int) -> int:
        if key < 2:
            await held()
        return key

    @cache.read("whole", Contract(ttl="60s"), source=source)
    async def whole(resource: None, key: int) -> int:
        borrowing, waiting = asyncio.create_task(part(0)), asyncio.create_task(part(1))
        await held.until_began()
        waiting.cancel()
        borrowing.cancel()
        await asyncio.gather(borrowing, waiting, return_exceptions=True)
        return await part(2)

    async with asyncio.timeout(WAIT_S):
        assert await whole(0) == 2
    assert (source.limit.holders, len(source.limit), held.began) == (0, 0, 1)
