"""Several event loops, and threads beside them, on one cache."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cacheaside import Cache, Contract, LoadTimeout
from cacheaside.runtime import aio
from tests.held import WAIT_S, Callers, HeldLoads, until_waiting
from tests.runtime.loops import LoopThread


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="loops")


@pytest.fixture
def loops() -> Iterator[list[LoopThread]]:
    made = [LoopThread(), LoopThread()]
    yield made
    for one in made:
        if not one.loop.is_closed():
            one.stop()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "CHECK_LEADER_S", 0.02)


def flights(cache: Cache) -> Any:
    return cache._host._async_flights


async def make_held() -> HeldLoads:
    return HeldLoads()


async def let_go(held: HeldLoads, outcome: Any) -> None:
    held.let_go(outcome)


def test_two_loops_share_one_load(cache: Cache, loops: list[LoopThread]) -> None:
    """Callers on two event loops in two threads share a load, and each is woken on its own loop."""
    first, second = loops
    held = first.run(make_held())

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        result: int = await held()
        return result

    async def many(times: int) -> list[int]:
        return await asyncio.gather(*(value(1) for _ in range(times)))

    here = first.start(many(50))
    first.run(held.until_began())
    there = second.start(many(50))
    until_waiting(flights(cache), value.key(1), 100)
    first.run(let_go(held, 7))
    assert here.result(WAIT_S) + there.result(WAIT_S) == [7] * 100
    assert held.began == 1


def test_followers_take_over_from_a_loop_that_was_closed(cache: Cache, loops: list[LoopThread]) -> None:
    """When a loop is closed with a load under way, those who wait for it on another loop load for themselves."""
    first, second = loops
    source = cache.source("single", open=contextlib.nullcontext, limit=1, timeout="10s")
    held = first.run(make_held())

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        if asyncio.get_running_loop() is first.loop:
            await held()
        return 7

    leader = first.start(value(1))
    first.run(held.until_began())
    follower = second.start(value(1))
    until_waiting(flights(cache), value.key(1), 2)
    first.halt()
    first.loop.close()
    assert (
        follower.result(WAIT_S) == 7
    )  # with the one turn that the source has, taken from the load that is gone
    assert source.limit.holders == 0
    assert not leader.done()
    del leader
    cache._host.async_crew.sweep()
    gc.collect()


def test_followers_take_over_from_a_loop_that_stands_still(cache: Cache, loops: list[LoopThread]) -> None:
    """A loop that is stopped, and not closed, holds up nobody but its own callers, who are answered when it goes on."""
    first, second = loops
    held = first.run(make_held())

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        if asyncio.get_running_loop() is first.loop:
            await held()
        return 7

    leader = first.start(value(1))
    first.run(held.until_began())
    follower = second.start(value(1))
    until_waiting(flights(cache), value.key(1), 2)
    first.halt()
    assert follower.result(WAIT_S) == 7
    held.let_go(7)
    first.loop.run_until_complete(asyncio.wait_for(asyncio.wrap_future(leader, loop=first.loop), WAIT_S))
    assert leader.result(0) == 7
    first.loop.close()


def test_a_leader_whose_loop_is_blocked_is_given_up(
    cache: Cache, loops: list[LoopThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that is blocked cannot end its load in time; callers on another loop get LoadTimeout all the same."""
    monkeypatch.setattr(aio, "CLEAN_UP_S", 0.02)
    first, second = loops
    source = cache.source("brief", open=contextlib.nullcontext, timeout="50ms")
    began, may_end = threading.Event(), threading.Event()

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        began.set()
        assert may_end.wait(WAIT_S)  # a blocking call where none belongs
        return 7

    leader = first.start(value(1))
    assert began.wait(WAIT_S)
    follower = second.start(value(1))
    assert isinstance(follower.exception(WAIT_S), LoadTimeout)
    may_end.set()
    with contextlib.suppress(LoadTimeout):
        leader.result(WAIT_S)


def test_a_waiter_whose_loop_was_closed_does_not_keep_others_from_being_woken(
    cache: Cache, loops: list[LoopThread]
) -> None:
    """Landing a flight wakes all who can be woken, whichever of them is gone."""
    first, second = loops
    held = first.run(make_held())

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        result: int = await held()
        return result

    leader = first.start(value(1))
    first.run(held.until_began())
    lost = second.start(value(1))
    until_waiting(flights(cache), value.key(1), 2)
    late = first.start(value(1))
    until_waiting(flights(cache), value.key(1), 3)
    second.halt()
    second.loop.close()
    first.run(let_go(held, 7))
    assert (leader.result(WAIT_S), late.result(WAIT_S)) == (7, 7)
    assert not lost.done()


def test_loops_one_after_the_other_on_one_thread(cache: Cache) -> None:
    """asyncio.run once per call, as sync code does it, works with one cache: nothing is bound to the first loop."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)
    loads = 0

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0)
        return key

    async def some(base: int) -> list[int]:
        return await asyncio.gather(*(value(base + i // 2) for i in range(10)))

    for base in range(0, 50, 5):
        assert asyncio.run(some(base)) == [base + i // 2 for i in range(10)]
    assert loads == 50
    assert len(flights(cache)) == 0


def test_a_caller_that_dies_with_its_loop_is_not_waited_for(cache: Cache) -> None:
    """asyncio.run that ends while a load has just been asked for leaves no flight open."""

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        await asyncio.sleep(60)
        return 7

    for turns in range(4):

        async def leave_early(turns: int = turns) -> None:
            reading = asyncio.ensure_future(value(1))
            for _ in range(turns):
                await asyncio.sleep(0)
            del reading

        asyncio.run(leave_early())
        assert len(flights(cache)) == 0


def test_sync_and_async_endpoints_share_a_cache(cache: Cache, loops: list[LoopThread]) -> None:
    """Threads and loops read their endpoints at once, and an invalidation by either reaches both."""
    numbers = cache.tag("numbers", int)
    row = 1

    @cache.read("awaited", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    async def awaited(key: int) -> int:
        return row

    @cache.read("blocking", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    def blocking(key: int) -> int:
        return row

    def both() -> tuple[int, int]:
        callers = Callers()
        callers.start(blocking, 1, times=8)
        there = [one.start(awaited(1)) for one in loops]
        callers.join()
        (alone,) = {*callers.results}
        (together,) = {future.result(WAIT_S) for future in there}
        return alone, together

    assert both() == (1, 1)
    row = 2
    cache.blocking.invalidate(numbers(1))
    assert both() == (2, 2)
    row = 3
    loops[0].run(cache.invalidate(numbers(1)))
    assert both() == (3, 3)


async def test_a_sync_load_inside_an_async_one_does_not_wait_for_its_turn(cache: Cache) -> None:
    """An async load that reads a sync endpoint of the same source lends it its turn: the loop cannot wait for one."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1, timeout="5s")

    @cache.read("inner", Contract(ttl="60s"), source=source)
    def inner(resource: None, key: int) -> int:
        return key

    @cache.read("outer", Contract(ttl="60s"), source=source)
    async def outer(resource: None, key: int) -> int:
        return inner(key) + 1

    assert await outer(1) == 2
    assert source.limit.holders == 0


def test_a_limit_holds_over_threads_and_loops_together(cache: Cache, loops: list[LoopThread]) -> None:
    """One source's limit counts the loads of all threads and loops; none is lost on the way."""
    lock = threading.Lock()
    inside = peak = 0

    class Resource:
        def __enter__(self) -> None:
            nonlocal inside, peak
            with lock:
                inside += 1
                peak = max(peak, inside)

        def __exit__(self, *exc: object) -> None:
            nonlocal inside
            with lock:
                inside -= 1

    source = cache.source("db", open=Resource, limit=3, timeout="20s")
    source.limit.queue_max = 10_000

    @cache.read("awaited", Contract(ttl="60s", store=False), source=source)
    async def awaited(resource: None, key: int) -> int:
        await asyncio.sleep(0)
        return key

    @cache.read("blocking", Contract(ttl="60s", store=False), source=source)
    def blocking(resource: None, key: int) -> int:
        threading.Event().wait(0.0005)
        return key

    async def some(base: int) -> int:
        return sum(await asyncio.gather(*(awaited(base + i) for i in range(60))))

    callers = Callers()
    for base in range(8):
        callers.start(lambda base=base: sum(blocking(base * 100 + i) for i in range(20)))
    there = [one.start(some(1000 * n)) for n, one in enumerate(loops)]
    callers.join()
    assert callers.errors == []
    assert len(callers.results) == 8
    assert [future.result(WAIT_S) for future in there] == [sum(range(60)), sum(range(1000, 1060))]
    assert 1 <= peak <= 3
    assert source.limit.holders == 0
    assert len(source.limit) == 0
