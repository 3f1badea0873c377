"""After os.fork a child goes on by itself: no lock, load or thread of the parent's is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract, Served
from tests.held import WAIT_S, Callers, HeldCalls, HeldLoads, until_waiting
from tests.runtime.loops import LoopThread

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*use of fork:DeprecationWarning"
)  # that it is risky is the subject

CHILD_S = 15.0


def in_child(work: Callable[[], object]) -> str:
    """What `work` returned in a forked child, as text; a child that hangs is killed, and fails the test."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except BaseException:  # noqa: BLE001 - told to the parent
            said = traceback.format_exc()
        os.write(write, said.encode()[:60_000])
        os._exit(0)
    os.close(write)
    ready, _, _ = select.select([read], [], [], CHILD_S)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as answers:
        said = answers.read().decode()
    assert ready, "the child hung"
    return said


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="fork")


@pytest.fixture
def held() -> HeldCalls:
    return HeldCalls()


def holding(lock: Any) -> tuple[threading.Thread, threading.Event]:
    """A thread that holds `lock` until the event is set."""
    has, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            has.set()
            may_go.wait(WAIT_S)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert has.wait(WAIT_S)
    return thread, may_go


@pytest.fixture
def hold() -> Iterator[Callable[[Any], None]]:
    held: list[tuple[threading.Thread, threading.Event]] = []
    yield lambda lock: held.append(holding(lock))
    for thread, may_go in held:
        may_go.set()
        thread.join(WAIT_S)


def test_a_child_goes_on_with_what_was_held(cache: Cache) -> None:
    """A value that was cached before the fork is a hit in the child, and the parent's stays the parent's."""

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        return os.getpid()

    parent = os.getpid()
    assert value(1) == parent
    assert in_child(lambda: value(1)) == str(parent)

    def work() -> object:
        value.invalidate(1)
        return value(1) != parent

    assert in_child(work) == "True"
    assert value.lookup(1).served is Served.FRESH


def test_no_lock_of_the_parent_is_waited_for(cache: Cache, hold: Callable[[Any], None]) -> None:
    """Whatever lock another thread of the parent holds at the fork, the child reads, loads, writes and invalidates."""
    host = cache._host
    source = cache.source("db", open=lambda: threading.Lock(), limit=1)
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s"), source=source, tags=lambda key: [numbers(key)])
    def value(resource: bool, key: int) -> int:
        return key

    @cache.read("awaited", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    async def awaited(key: int) -> int:
        return key

    value(1)
    for lock in (
        host.lock,
        host.l1.lock,
        host._async_flights._lock,
        host._blocking_flights._lock,
        source.limit._lock,
        host.blocking_crew._background._changed,
    ):
        hold(lock)

    def work() -> object:
        with cache.changing(numbers(1)):
            pass
        cache.blocking.invalidate(numbers(2))
        cache.close()
        return [value(1), value(2), asyncio.run(awaited(3)), cache.stats().entries]

    assert in_child(work) == "[1, 2, 3, 3]"


def test_a_store_that_was_being_changed_is_emptied(cache: Cache, hold: Callable[[Any], None]) -> None:
    """When another thread was in the middle of changing L1 at the fork, the child trusts none of it."""

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        return key

    for key in range(10):
        value(key)
    hold(cache._host.l1.lock)

    def work() -> object:
        emptied = len(cache._host.l1)
        return emptied, value.lookup(1).served.value, value.lookup(1).served.value, cache.stats().entries

    assert in_child(work) == "(0, 'loaded', 'fresh', 1)"
    assert len(cache._host.l1) == 10


def test_loads_under_way_in_the_parent_are_not_joined(cache: Cache, held: HeldCalls) -> None:
    """A load that a thread of the parent runs is not waited for in the child, which loads for itself."""
    source = cache.source("db", open=lambda: threading.Lock(), limit=1)
    parent = os.getpid()

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: bool, key: int) -> int:
        if os.getpid() == parent:
            held(key)
        return key

    callers = Callers()
    callers.start(value, 1, times=3)
    held.until_began()
    until_waiting(cache._host._blocking_flights, value.key(1), 3)
    assert in_child(lambda: (value(1), value(2), source.limit.holders)) == "(1, 2, 0)"
    held.let_go()
    callers.join()
    assert callers.results == [1, 1, 1]
    assert source.limit.holders == 0


def test_loads_on_a_loop_of_the_parent_are_not_joined(cache: Cache) -> None:
    """A load that is under way on an event loop of the parent is not waited for in the child."""
    first = LoopThread()
    parent = os.getpid()

    async def make() -> HeldLoads:
        return HeldLoads()

    held = first.run(make())

    @cache.read("value", Contract(ttl="60s"))
    async def value(key: int) -> int:
        if os.getpid() == parent:
            await held()
        return key

    async def let_go() -> None:
        held.let_go()

    reading = first.start(value(1))
    first.run(held.until_began())
    assert in_child(lambda: (asyncio.run(value(1)), held.ended)) == "(1, 0)"
    first.run(let_go())
    assert reading.result(WAIT_S) == 1
    first.stop()


def test_a_fork_inside_a_load_gives_no_turn_back_twice(cache: Cache) -> None:
    """A loader that forks: both processes end the load, and in neither is the limit's count off."""
    source = cache.source("db", open=lambda: threading.Lock(), limit=1)
    said: list[str] = []

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: bool, key: int) -> int:
        if key == 1:
            said.append(in_child(lambda: value(2)))
        return key

    assert value(1) == 1
    assert said == ["2"]
    assert (source.limit.holders, len(source.limit)) == (0, 0)


def test_a_writer_that_stayed_in_the_parent_still_counts(cache: Cache) -> None:
    """What the child loads while a write of the parent's is under way is not stored: it would not hear its commit."""
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    def value(key: int) -> int:
        return key

    with cache.changing(numbers(1)):
        assert in_child(lambda: value.lookup(1).not_stored) == "writer"
    assert value.lookup(1).stored


def test_refreshes_of_the_parent_stay_there(cache: Cache) -> None:
    """The threads that refresh behind readers are the parent's; the child starts its own."""
    now = 1000.0
    cache._use_clock(lambda: now)
    held = HeldCalls()
    held.let_go()
    parent = os.getpid()

    @cache.read("value", Contract(ttl="60s", grace="5m", jitter=0))
    def value(key: int) -> int:
        if os.getpid() == parent:
            held()
        return os.getpid()

    for key in range(8):
        value(key)
    held._may_go.clear()
    now += 61
    for key in range(8):
        value(key)
    held.until_began(12)  # four threads are at it, four keys wait

    def work() -> object:
        started = value.lookup(7).refreshing
        for _ in range(5000):
            if value(7) != parent:
                break
            threading.Event().wait(0.001)
        cache.close()
        return started, value(7) == os.getpid()

    assert in_child(work) == "(True, True)"
    held.let_go()
    cache.close()
    assert {value(key) for key in range(8)} == {parent}


async def test_tasks_of_the_parent_are_not_finalised_in_the_child(cache: Cache) -> None:
    """A child does not run the clean-up of the parent's loads: it would speak on the parent's connections."""
    now = 1000.0
    cache._use_clock(lambda: now)
    cleaned: list[int] = []
    waits: list[weakref.ref[asyncio.Future[None]]] = []

    @cache.read("value", Contract(ttl="60s", grace="5m", jitter=0))
    async def value(key: int) -> int:
        if now > 1000.0:
            answer = asyncio.get_running_loop().create_future()  # nothing but this load holds it
            waits.append(weakref.ref(answer))
            try:
                await answer
            finally:
                cleaned.append(os.getpid())
        return key

    await value(1)
    now += 61
    await value(1)
    while not waits:  # noqa: ASYNC110 - turns of the loop, no time
        await asyncio.sleep(0)

    loop: Any = asyncio.get_running_loop()

    def work() -> object:
        loop._ready.clear()  # as closing the loop would
        loop._scheduled.clear()
        gc.collect()
        return len(cache._host.async_crew._flying), cleaned

    assert await asyncio.to_thread(in_child, work) == "(0, [])"
    answer = waits[0]()
    assert answer is not None
    answer.set_result(None)
    await asyncio.gather(*cache._host.async_crew._behind)
    assert cleaned == [os.getpid()]


def test_a_cache_that_is_unused_at_the_fork_works_in_both(cache: Cache) -> None:
    """A cache made at import and first used in the children, as pre-forking servers do, is as good as new in each."""

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        return key

    for _ in range(3):
        assert in_child(lambda: (value(1), value.lookup(1).served.value)) == "(1, 'fresh')"
    assert value(1) == 1


def test_a_child_knows_no_share_of_a_limit_yet(cache: Cache) -> None:
    """What its parent learnt when it was alone is no share of each of its children: they begin with the safe one."""
    admission = Admission(64, shared_limit=64, safe_share=4)
    source = cache.source("db", open=contextlib.nullcontext, limit=admission)
    source.share(64)
    assert in_child(lambda: (source.limit.share, source.limit.allowed)) == "(4, 4)"
    assert source.limit.share == 64


def test_a_child_of_who_declared_no_safe_share_begins_with_the_limit(cache: Cache) -> None:
    """It is what is taken unless told otherwise, at the beginning of any process."""
    source = cache.source("db", open=contextlib.nullcontext, limit=Admission(64, shared_limit=64))
    source.share(16)
    assert in_child(lambda: source.limit.share) == "64"
    assert source.limit.share == 16
