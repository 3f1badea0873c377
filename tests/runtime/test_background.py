"""Refreshes behind readers: one at a time a key, bounded, and ended when their cache is."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cacheaside import Cache, Contract, Served
from cacheaside.flow.blocking import run_blocking
from cacheaside.runtime import aio, background
from cacheaside.runtime.background import Background
from cacheaside.stores.l1.table import RETRY_AFTER_S
from cacheaside.types import TagId
from tests.held import WAIT_S, HeldCalls, HeldLoads


class Hands:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="behind")


@pytest.fixture
def clock(cache: Cache) -> Hands:
    hands = Hands()
    cache._use_clock(hands.now)
    return hands


async def soon(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


def in_time(condition: Callable[[], bool]) -> None:
    for _ in range(int(WAIT_S * 1000)):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it did not come true")


GRACIOUS = Contract(ttl="60s", grace="5m", jitter=0)


async def test_a_stale_value_is_served_while_one_task_refreshes_it(cache: Cache, clock: Hands) -> None:
    """In grace every reader is answered at once, and the source is asked once behind them."""
    held = HeldLoads()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    async def value(key: int) -> int:
        result: int = await held()
        return result

    assert await value(1) == 1
    held._may_go.clear()
    clock.at += 61
    found = [await value.lookup(1) for _ in range(20)]
    assert {(one.value, one.served, one.refreshing) for one in found} == {(1, Served.GRACE, True)}
    await held.until_began(2)
    held.let_go(2)
    await soon(lambda: not cache._host.async_crew._behind)
    assert (await value.lookup(1)).served is Served.FRESH
    assert await value(1) == 2
    assert held.began == 2


async def test_a_failing_refresh_delays_the_next(cache: Cache, clock: Hands) -> None:
    """While the source fails, what is in grace is served and says so, and the source is asked once a second a key."""
    held = HeldLoads()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    async def value(key: int) -> int:
        result: int = await held()
        return result

    await value(1)
    held.outcome = ConnectionError("down")
    clock.at += 61
    assert (await value.lookup(1)).refreshing
    await soon(lambda: not cache._host.async_crew._behind)
    for _ in range(10):
        found = await value.lookup(1)
        assert (found.value, found.refreshing, found.source_error) == (1, False, "ConnectionError")
    assert held.began == 2
    clock.at += RETRY_AFTER_S
    assert (await value.lookup(1)).refreshing
    await soon(lambda: held.began == 3)
    stats = cache.stats().endpoints["value"]
    assert stats.refreshes == 2


async def test_refreshes_on_a_loop_are_bounded(
    cache: Cache, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound a stale value is served without a refresh, which is counted and leaves no coroutine behind."""
    monkeypatch.setattr(aio, "BACKGROUND_MAX", 3)
    held = HeldLoads()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    async def value(key: int) -> int:
        result: int = await held()
        return result

    for key in range(6):
        await value(key)
    held._may_go.clear()
    clock.at += 61
    refreshing = [(await value.lookup(key)).refreshing for key in range(6)]
    assert refreshing == [True] * 3 + [False] * 3
    assert cache.stats().endpoints["value"].refreshes_dropped == 3
    gc.collect()
    await cache.aclose()


async def test_closing_ends_refreshes_and_not_what_callers_wait_for(cache: Cache, clock: Hands) -> None:
    """aclose() cancels what runs behind callers; a read that somebody waits for goes on."""
    held = HeldLoads()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    async def value(key: int) -> int:
        result: int = await held()
        return result

    await value(1)
    held._may_go.clear()
    clock.at += 61
    assert (await value.lookup(1)).refreshing
    await held.until_began(2)
    waiting = asyncio.create_task(value(2))
    await held.until_began(3)
    await cache.aclose()
    assert held.cancelled == 1
    assert not waiting.done()
    held.let_go(7)
    assert await waiting == 7
    assert len(cache._host._async_flights) == 0


async def test_a_refresh_that_a_caller_joined_survives_closing(cache: Cache, clock: Hands) -> None:
    """Once a caller waits for a refresh, as the value expired meanwhile, aclose() does not take it away."""
    held = HeldLoads()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    async def value(key: int) -> int:
        result: int = await held()
        return result

    await value(1)
    held._may_go.clear()
    clock.at += 61
    await value(1)
    await held.until_began(2)
    clock.at += 600
    waiting = asyncio.create_task(value(1))
    flight = cache._host._async_flights._open[TagId(value.key(1))]
    await soon(lambda: flight.waiting == 1)
    await cache.aclose()
    held.let_go(7)
    assert await waiting == 7
    assert held.began == 2


async def test_flows_that_must_end_do(cache: Cache) -> None:
    """`surely` runs a flow to its end though its caller is cancelled, and nothing but the crew holds it."""
    ended = asyncio.Event()
    waits: list[weakref.ref[asyncio.Future[None]]] = []

    async def flow() -> None:
        may_end = asyncio.get_running_loop().create_future()
        waits.append(weakref.ref(may_end))
        await may_end
        ended.set()

    caller = asyncio.create_task(cache._host.async_crew.surely(flow()))
    await soon(lambda: bool(waits))
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    await asyncio.sleep(0)  # for the loop to let go of its last step
    gc.collect()
    may_end = waits[0]()
    assert may_end is not None
    may_end.set_result(None)
    async with asyncio.timeout(WAIT_S):
        await ended.wait()


def test_threads_refresh_behind_their_readers(cache: Cache, clock: Hands) -> None:
    """In grace a thread is answered at once, and one other thread asks the source."""
    held = HeldCalls()
    held.let_go(1)

    @cache.read("value", GRACIOUS)
    def value(key: int) -> int:
        result: int = held()
        return result

    assert value(1) == 1
    held._may_go.clear()
    clock.at += 61
    found = [value.lookup(1) for _ in range(20)]
    assert {(one.value, one.served) for one in found} == {(1, Served.GRACE)}
    held.until_began(2)
    held.let_go(2)
    in_time(lambda: value.lookup(1).served is Served.FRESH)
    assert value(1) == 2
    assert held.began == 2
    cache.close()


def test_a_refresh_on_a_thread_runs_in_its_readers_context(cache: Cache, clock: Hands) -> None:
    """What varies by a context variable is refreshed for the tenant whose key it is, not for nobody."""
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    @cache.read("of_tenant", GRACIOUS, vary=tenant)
    def of_tenant(key: int) -> str:
        return tenant.get()

    tenant.set("blue")
    assert of_tenant(1) == "blue"
    clock.at += 61
    assert of_tenant(1) == "blue"
    in_time(lambda: of_tenant.lookup(1).served is Served.FRESH)
    assert of_tenant(1) == "blue"
    cache.close()


def test_a_failing_refresh_on_a_thread_delays_the_next(cache: Cache, clock: Hands) -> None:
    """While the source fails, threads are served from grace and ask it once a second a key."""
    loads = 0

    @cache.read("value", GRACIOUS)
    def value(key: int) -> int:
        nonlocal loads
        loads += 1
        if loads > 1:
            raise ConnectionError("down")
        return 1

    value(1)
    clock.at += 61
    value(1)
    in_time(lambda: value.lookup(1).source_error == "ConnectionError")
    for _ in range(10):
        assert value(1) == 1
    assert loads == 2
    cache.close()


def work(done: list[int], number: int) -> Any:
    async def flow() -> None:
        done.append(number)

    return flow()


def test_flows_beyond_the_queue_are_refused() -> None:
    """With all threads at work and the queue full, a flow is refused and closed; what was taken is done."""
    held, done = HeldCalls(), list[int]()
    pool = Background(run_blocking, threads_max=2, waiting_max=3)

    async def wait() -> None:
        held()

    assert all(pool.submit(wait()) for _ in range(2))
    held.until_began(2)
    assert [pool.submit(work(done, number)) for number in range(5)] == [True] * 3 + [False] * 2
    held.let_go()
    in_time(lambda: len(done) == 3)
    pool.close(WAIT_S)
    assert pool.busy == 0


def test_threads_are_used_again_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread takes the next flow when it is done with one, and goes when there is none for a while."""
    monkeypatch.setattr(background, "IDLE_S", 0.05)
    done: list[int] = []
    names: set[int] = set()
    pool = Background(run_blocking, threads_max=4, waiting_max=64)

    async def who(number: int) -> None:
        names.add(threading.get_ident())
        done.append(number)

    for number in range(20):
        assert pool.submit(who(number))
        in_time(partial(lambda count: len(done) == count and pool.busy == 0, number + 1))
    assert len(names) <= 4
    in_time(lambda: not pool._threads)
    assert pool.submit(who(20))
    in_time(lambda: len(done) == 21)


def test_a_flow_that_comes_as_a_thread_is_told_to_go_is_run() -> None:
    """An idle thread that close() has told to end, and has not heard it yet, takes what is submitted meanwhile."""
    done: list[int] = []
    pool = Background(run_blocking, threads_max=1, waiting_max=8)
    pool.submit(work(done, 1))
    in_time(lambda: done == [1] and pool._idle == 1)
    with pool._changed:  # so that the thread does not hear of it between the two
        pool.close(WAIT_S)
        assert pool.submit(work(done, 2))
    in_time(lambda: done == [1, 2])
    in_time(lambda: not pool._threads)
    assert pool.submit(work(done, 3))
    in_time(lambda: done == [1, 2, 3])


def test_closing_drops_what_waits_and_waits_for_what_runs() -> None:
    """close() begins no flow that waits, returns when those under way have ended, and the pool can be used again."""
    held, done = HeldCalls(), list[int]()
    pool = Background(run_blocking, threads_max=1, waiting_max=8)

    async def wait() -> None:
        held()
        done.append(-1)

    pool.submit(wait())
    held.until_began()
    pool.submit(work(done, 1))
    threading.Timer(0.02, held.let_go).start()
    pool.close(WAIT_S)
    assert done == [-1]
    pool.submit(work(done, 2))
    in_time(lambda: done == [-1, 2])
    pool.close(WAIT_S)


def test_closing_waits_no_longer_than_told() -> None:
    """A flow that hangs does not keep close() from returning."""
    held = HeldCalls()
    pool = Background(run_blocking, threads_max=1, waiting_max=8)

    async def wait() -> None:
        held()

    pool.submit(wait())
    held.until_began()
    pool.close(0.01)
    assert pool.busy == 1
    held.let_go()
    in_time(lambda: pool.busy == 0)


def test_a_flow_that_kills_its_thread_costs_no_place(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a flow raises, its thread goes on with the next, and the log says what it was."""
    done: list[int] = []
    pool = Background(run_blocking, threads_max=1, waiting_max=8)

    async def kill() -> None:
        raise SystemExit

    pool.submit(kill())
    pool.submit(work(done, 1))
    in_time(lambda: done == [1])
    assert "a refresh ended by SystemExit" in caplog.text
    pool.close(WAIT_S)


def test_without_threads_to_be_had_a_refresh_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no thread, the flow is closed and the reader told so; later ones are tried again."""
    pool = Background(run_blocking, threads_max=2, waiting_max=8)
    done: list[int] = []

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not pool.submit(work(done, 1))
    assert pool.submit(work(done, 2))
    in_time(lambda: done == [2])
    pool.close(WAIT_S)


def test_an_idle_thread_keeps_nothing_alive() -> None:
    """A thread that waits for work holds neither the flow that it ran nor the context that it ran in."""

    class Held:
        pass

    carried: contextvars.ContextVar[Held] = contextvars.ContextVar("carried")

    pool = Background(run_blocking, threads_max=1, waiting_max=8)
    held = Held()
    gone = weakref.ref(held)

    async def flow() -> None:
        assert carried.get() is not None

    def submit(what: Held) -> None:
        carried.set(what)
        pool.submit(flow())

    contextvars.copy_context().run(submit, held)
    del held
    in_time(lambda: pool._idle == 1)
    gc.collect()
    assert gone() is None
    pool.close(WAIT_S)
