"""Loads: their turn, their resource, their time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract, LoadTimeout, Overloaded, UsageError
from tests.held import Callers, HeldCalls, HeldLoads


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="loads")


async def soon(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


def endpoint(cache: Cache, source: Any, held: Any, name: str = "value") -> Any:
    @cache.read(name, Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        result: int = await held()
        return result

    return value


async def test_loads_beyond_the_limit_wait_and_beyond_the_queue_are_refused(cache: Cache) -> None:
    """At its limit a source lets loads wait, up to its queue; the next is refused with a delay after which to retry."""
    source = cache.source("db", open=contextlib.nullcontext, limit=2)
    held = HeldLoads()
    value = endpoint(cache, source, held)
    running = [asyncio.create_task(value(key)) for key in range(2 + 2 * 16)]
    await soon(lambda: len(source.limit) == 32)
    assert held.began == 2
    with pytest.raises(Overloaded) as refused:
        await value(99)
    assert refused.value.retry_after_s > 0
    assert (refused.value.source, refused.value.endpoint) == ("db", "value")
    held.let_go(1)
    assert await asyncio.gather(*running) == [1] * 34
    assert source.limit.holders_peak == 2
    assert (source.limit.holders, len(source.limit)) == (0, 0)
    assert await value(99) == 1


async def test_the_wait_for_a_turn_has_an_end_of_its_own(cache: Cache) -> None:
    """A load that gets no turn in half of its timeout is refused, and is not begun later."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1, timeout="60ms")
    held = HeldLoads()
    value = endpoint(cache, source, held)
    results = await asyncio.gather(value(1), value(2), return_exceptions=True)
    assert [type(result) for result in results] == [LoadTimeout, Overloaded]
    assert "gave this load no turn in time" in str(results[1])
    assert (source.limit.holders, len(source.limit)) == (0, 0)
    assert held.cancelled == held.began == 1


async def test_the_wait_for_a_turn_counts_against_the_timeout(cache: Cache) -> None:
    """Where the queue may be waited in for longer than half of it, what was waited is gone for the load."""
    source = cache.source(
        "db", open=contextlib.nullcontext, limit=Admission(1, queue_timeout="60ms"), timeout="60ms"
    )
    held = HeldLoads()
    value = endpoint(cache, source, held)
    results = await asyncio.gather(value(1), value(2), return_exceptions=True)
    assert {type(result) for result in results} <= {LoadTimeout, Overloaded}
    assert (source.limit.holders, len(source.limit)) == (0, 0)
    assert held.cancelled == held.began == 1


async def test_who_is_cancelled_in_the_queue_leaves_it(cache: Cache) -> None:
    """A load that is cancelled while it waits for its turn frees its place and takes no turn."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)
    held = HeldLoads()
    value = endpoint(cache, source, held)
    first, second, third = (asyncio.create_task(value(key)) for key in range(3))
    await soon(lambda: len(source.limit) == 2)
    second.cancel()
    await soon(lambda: len(source.limit) == 1)
    held.let_go(1)
    assert [await first, await third] == [1, 1]
    assert held.began == 2
    assert (source.limit.holders, len(source.limit)) == (0, 0)


async def test_who_is_cancelled_as_its_turn_comes_hands_it_on(cache: Cache) -> None:
    """A load that is cancelled in the very moment in which its turn is granted gives it to the next."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)
    held = HeldLoads()
    value = endpoint(cache, source, held)
    turn = source.limit.take()
    assert turn is not None
    first, second = (asyncio.create_task(value(key)) for key in range(2))
    await soon(lambda: len(source.limit) == 2)
    source.limit.give_back(turn)  # granted to the first, which will be told in the loop's next turn
    first.cancel()
    await held.until_began()
    held.let_go(1)
    assert await second == 1
    assert held.began == 1
    assert (source.limit.holders, len(source.limit)) == (0, 0)


def test_threads_wait_for_their_turn_and_are_refused_beyond_the_queue(cache: Cache) -> None:
    """On threads the same: a limit, a queue, and Overloaded past it."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1)
    source.limit.queue_max = 2
    held = HeldCalls()

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: None, key: int) -> int:
        result: int = held()
        return result

    callers = Callers()
    for key in range(3):
        callers.start(value, key)
    held.until_began()
    while len(source.limit) < 2:
        threading.Event().wait(0.001)
    with pytest.raises(Overloaded):
        value(99)
    held.let_go(1)
    callers.join()
    assert callers.results == [1, 1, 1]
    assert source.limit.holders_peak == 1


def test_a_thread_waits_for_its_turn_no_longer_than_it_may(cache: Cache) -> None:
    """A thread that gets no turn in time is refused, and its place in the queue is free again."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1, timeout="30ms")
    turn = source.limit.take()
    assert turn is not None

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: None, key: int) -> int:
        return key

    with pytest.raises(Overloaded):
        value(1)
    assert len(source.limit) == 0
    assert source.stats().refused["normal"]["late"] == 1
    source.limit.give_back(turn)
    assert value(1) == 1


@pytest.mark.parametrize("fails", ["open", "enter", "load", "exit"])
async def test_whatever_fails_the_turn_is_given_back(cache: Cache, fails: str) -> None:
    """Opening, entering, loading or closing may fail: the caller gets that error and the source its turn."""
    error = ConnectionError(fails)

    @contextlib.asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        if fails == "enter":
            raise error
        yield
        if fails == "exit":
            raise error

    def open_one() -> contextlib.AbstractAsyncContextManager[None]:
        if fails == "open":
            raise error
        return resource()

    source = cache.source("db", open=open_one, limit=1)

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        if fails == "load":
            raise error
        return key

    for _ in range(3):
        with pytest.raises(ConnectionError) as failed:
            await value(1)
        assert failed.value is error
    assert source.limit.holders == 0


async def test_a_timeout_of_the_loaders_own_is_passed_on(cache: Cache) -> None:
    """A TimeoutError that the loader raises is the loader's, and is not taken for the source's."""
    source = cache.source("db", open=contextlib.nullcontext)
    own = TimeoutError("the driver's")

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        raise own

    with pytest.raises(TimeoutError) as failed:
        await value(1)
    assert failed.value is own


async def test_an_async_endpoint_takes_a_plain_resource(cache: Cache) -> None:
    """An `async def` may load from a source whose resource is a plain context manager."""
    seen: list[str] = []

    @contextlib.contextmanager
    def resource() -> Iterator[str]:
        yield "plain"
        seen.append("closed")

    source = cache.source("db", open=resource)

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: str, key: int) -> str:
        return resource

    assert await value(1) == "plain"
    assert seen == ["closed"]


def test_a_def_endpoint_refuses_an_async_resource(cache: Cache) -> None:
    """A `def` cannot open an async resource: the error says what to declare instead, and the turn is given back."""

    @contextlib.asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        yield

    source: Any = cache.source("db", open=lambda: resource())  # a lambda does not tell beforehand

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: None, key: int) -> int:
        return key

    with pytest.raises(UsageError, match="plain context manager"):
        value(1)
    assert source.limit.holders == 0


async def test_a_timeout_of_loads_inside_loads_names_both(cache: Cache) -> None:
    """Outer loads that hold every connection of a pool, for which their inner loads wait, say where they stood."""
    pool = asyncio.Semaphore(2)

    @contextlib.asynccontextmanager
    async def connection() -> AsyncIterator[None]:
        async with pool:
            yield

    source = cache.source("db", open=connection, limit=2, timeout="500ms")
    errors: list[LoadTimeout] = []

    @cache.read("inner", Contract(ttl="60s"), source=source)
    async def inner(resource: None, key: int) -> int:
        return key

    @cache.read("outer", Contract(ttl="60s"), source=source)
    async def outer(resource: None, key: int) -> int:
        async with both:
            entered.append(key)
            both.notify_all()
            await both.wait_for(lambda: len(entered) == 2)
        return await inner(key)

    both, entered = asyncio.Condition(), list[int]()
    for result in await asyncio.gather(outer(1), outer(2), return_exceptions=True):
        assert isinstance(result, LoadTimeout)
        errors.append(result)
    for error in errors:
        assert str(error) == (
            "outer: a load from source 'db' had no answer after 0.5 s (waiting for a load of inner inside it). A load "
            "inside a load opens a resource of its own: a pool needs the source's limit times the depth, or the inner "
            "endpoint a source of its own."
        )
    assert (source.limit.holders, len(source.limit)) == (0, 0)


async def test_a_timeout_of_an_inner_load_names_the_outer_one(cache: Cache) -> None:
    """Where only the inner load runs out of time, its error says whose load it was inside of."""
    patient = cache.source("patient", open=contextlib.nullcontext, timeout="20s")
    source = cache.source("db", open=contextlib.nullcontext, timeout="30ms")
    inner = endpoint(cache, source, HeldLoads(), "inner")

    @cache.read("outer", Contract(ttl="60s"), source=patient)
    async def outer(resource: None, key: int) -> int:
        value: int = await inner(key)
        return value

    with pytest.raises(LoadTimeout) as caught:
        await outer(1)
    assert str(caught.value) == (
        "inner: a load from source 'db' had no answer after 0.03 s (inside the load of outer)."
    )


def test_a_thread_without_a_turn_inside_a_load_names_the_outer_one(cache: Cache) -> None:
    """On threads the same."""
    source = cache.source("db", open=contextlib.nullcontext, limit=1, timeout="30ms")
    turn = source.limit.take()
    assert turn is not None

    @cache.read("inner", Contract(ttl="60s"), source=source)
    def inner(resource: None, key: int) -> int:
        return key

    @cache.read("outer", Contract(ttl="60s"))
    def outer(key: int) -> int:
        return inner(key)

    with pytest.raises(Overloaded, match=r"\(inside the load of outer\)"):
        outer(1)
    source.limit.give_back(turn)
