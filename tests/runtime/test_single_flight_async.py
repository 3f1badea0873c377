"""Single flight on one event loop: whoever leads may be cancelled, fail or hang."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from cacheaside import Cache, Contract, LoadTimeout, Source, SourceError
from cacheaside.runtime import aio
from tests.held import WAIT_S, HeldLoads, settled


class Resource:
    """A source's resource that counts how often it was opened and closed."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Resource]:
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="flight")


@pytest.fixture
def resource() -> Resource:
    return Resource()


@pytest.fixture
def source(cache: Cache, resource: Resource) -> Source[Resource]:
    return cache.source("db", open=resource.open, limit=8, timeout="10s")


@pytest.fixture
async def held() -> HeldLoads:
    return HeldLoads()


@pytest.fixture
def value(cache: Cache, source: Source[Resource], held: HeldLoads) -> Any:
    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: Resource, key: int) -> int:
        result: int = await held(resource, key)
        return result

    return value


def flights(cache: Cache) -> Any:
    return cache._host._async_flights


async def soon(condition: Callable[[], bool]) -> None:
    """Let the loop run until `condition`, which needs no time but other tasks' turns."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


def at_rest(cache: Cache) -> bool:
    """Nothing is left of any flight."""
    crew = cache._host.async_crew
    return not len(flights(cache)) and not crew._flying and not crew._behind


async def test_a_thousand_callers_share_one_load(
    cache: Cache, value: Any, held: HeldLoads, resource: Resource
) -> None:
    """However many callers miss a key at once, the source is asked once, with one resource."""
    callers = [asyncio.create_task(value(1)) for _ in range(1000)]
    await settled(flights(cache), value.key(1), 1000)
    held.let_go(7)
    assert set(await asyncio.gather(*callers)) == {7}
    assert (held.began, resource.opened, resource.closed) == (1, 1, 1)
    stats = cache.stats().endpoints["value"]
    assert (stats.loads, stats.collapsed, stats.misses_total) == (1, 999, 1000)
    assert at_rest(cache)


async def test_a_cancelled_leader_leaves_the_load_to_its_followers(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """Cancelling the caller that began a load neither cancels nor repeats it for those who share it."""
    leader = asyncio.create_task(value(1))
    await held.until_began()
    followers = [asyncio.create_task(value(1)) for _ in range(10)]
    await settled(flights(cache), value.key(1), 11)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    held.let_go(7)
    assert await asyncio.gather(*followers) == [7] * 10
    assert (held.began, held.cancelled) == (1, 0)


async def test_when_all_callers_are_cancelled_the_load_is_too(
    cache: Cache, value: Any, held: HeldLoads, resource: Resource
) -> None:
    """A load that nobody waits for any more is cancelled, and its resource closed."""
    callers = [asyncio.create_task(value(1)) for _ in range(5)]
    await settled(flights(cache), value.key(1), 5)
    await held.until_began()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await soon(lambda: at_rest(cache))
    assert (held.cancelled, resource.opened, resource.closed) == (1, 1, 1)
    assert cache.stats().entries == 0


async def test_who_comes_when_the_last_waiter_has_left_gets_a_load_of_its_own(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """Between the last waiter's going and the end of its load, a new caller does not join what is being cancelled."""
    first = asyncio.create_task(value(1))
    await held.until_began()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first  # its load is asked to stop, and has not yet
    second = asyncio.create_task(value(1))
    await held.until_began(2)
    held.let_go(7)
    assert await second == 7
    assert held.cancelled == 1


async def test_a_load_cancelled_before_its_first_step_strands_nobody(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """A task that is cancelled before it ran at all runs no clean-up; its flight is landed all the same."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[Any]] = []

    def made(loop: asyncio.AbstractEventLoop, flow: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.Task(flow, loop=loop, **options))
        return tasks[-1]

    loop.set_task_factory(made)
    caller = loop.create_task(value(1))
    await soon(lambda: len(tasks) == 2)
    flight = flights(cache)._open[value.key(1)]
    tasks[1].cancel()  # the load: made by the caller's step just now, not run yet
    loop.set_task_factory(None)
    await soon(lambda: flight.landed)
    await held.until_began()  # by the caller's next try
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await soon(lambda: at_rest(cache))


async def test_a_failed_load_tells_every_caller_the_true_error(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """All who share a load that fails get the loader's own exception, that instance, and nothing is cached."""
    callers = [asyncio.create_task(value(1)) for _ in range(100)]
    await settled(flights(cache), value.key(1), 100)
    error = ZeroDivisionError("the row is odd")
    held.let_go(error)
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert all(result is error for result in results)
    assert held.began == 1
    held.outcome = 7
    assert await value(1) == 7


async def test_an_error_does_not_grow_with_those_who_share_it(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """The traceback of a shared exception is as long for a hundred callers as for one."""

    def length(error: BaseException) -> int:
        frames, frame = 0, error.__traceback__
        while frame is not None:
            frames, frame = frames + 1, frame.tb_next
        return frames

    callers = [asyncio.create_task(value(1)) for _ in range(100)]
    await settled(flights(cache), value.key(1), 100)
    held.let_go(ValueError("odd"))
    results = await asyncio.gather(*callers, return_exceptions=True)
    many = length(results[0])
    alone = ValueError("odd")
    held.outcome = alone
    with pytest.raises(ValueError, match="odd"):
        await value(2)
    assert abs(many - length(alone)) <= 3


async def test_a_foreign_signal_reaches_the_caller(cache: Cache, value: Any, held: HeldLoads) -> None:
    """An exception that is no `Exception`, such as a test's `pytest.fail`, is not taken for a cancellation."""
    held.let_go(pytest.fail.Exception("must not be loaded"))
    with pytest.raises(pytest.fail.Exception, match="must not be loaded"):
        await value(1)
    assert held.began == 1


async def test_a_loader_that_cancels_itself_is_tried_a_few_times(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """A load that ends as cancelled though nobody cancelled it is repeated, but not for ever."""
    held.let_go(asyncio.CancelledError())
    with pytest.raises(SourceError, match="cancelled 3 times"):
        await value(1)
    assert held.began == 3
    held.outcome = 7
    assert await value(1) == 7


async def test_followers_of_a_self_cancelling_loader_are_not_cancelled(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """Nobody sees a CancelledError who was not cancelled."""
    callers = [asyncio.create_task(value(1)) for _ in range(20)]
    await settled(flights(cache), value.key(1), 20)
    held.let_go(asyncio.CancelledError())
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(result) for result in results} == {SourceError}


async def test_a_hung_load_ends_with_the_timeout_of_its_source(
    cache: Cache, resource: Resource, held: HeldLoads
) -> None:
    """Leader and followers of a load that hangs get LoadTimeout when the source's time is over; the next load works."""
    brief = cache.source("brief", open=resource.open, timeout="50ms")

    @cache.read("brief", Contract(ttl="60s"), source=brief)
    async def value(resource: Resource, key: int) -> int:
        result: int = await held()
        return result

    results = await asyncio.gather(*(value(1) for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {LoadTimeout}
    error = results[0]
    assert isinstance(error, LoadTimeout)
    assert (error.endpoint, error.source) == ("brief", "brief")
    assert isinstance(error, TimeoutError)
    assert (held.began, held.cancelled, resource.closed) == (1, 1, 1)
    held.let_go(7)
    assert await value(1) == 7


async def test_a_load_that_swallows_its_cancellation_strands_nobody(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader that goes on after its time is over is waited for no longer; those who wait get LoadTimeout."""
    monkeypatch.setattr(aio, "CLEAN_UP_S", 0.05)
    stubborn = cache.source("stubborn", open=contextlib.nullcontext, timeout="50ms")
    may_end = asyncio.Event()
    stubbornly = True

    @cache.read("stubborn", Contract(ttl="60s"), source=stubborn)
    async def value(resource: None, key: int) -> int:
        while stubbornly and not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()
        return 7

    async with asyncio.timeout(WAIT_S):
        results = await asyncio.gather(*(value(1) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {LoadTimeout}
    stubbornly = False
    assert await value(1) == 7  # a new load, while the old one still runs
    may_end.set()
    await soon(lambda: at_rest(cache))


async def test_a_callers_own_timeout_is_its_own(cache: Cache, value: Any, held: HeldLoads) -> None:
    """asyncio.timeout around one caller ends that caller's wait and nobody else's."""
    patient = asyncio.create_task(value(1))
    await held.until_began()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await value(1)
    held.let_go(7)
    assert await patient == 7
    assert held.began == 1


async def test_a_task_group_that_fails_takes_only_its_own_readers_along(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """A TaskGroup that is torn down cancels its readers; a reader outside of it gets the value of the same load."""
    outside = asyncio.create_task(value(1))
    await held.until_began()

    async def fail() -> None:
        await settled(flights(cache), value.key(1), 4)
        raise KeyError("sibling")

    async def fail_together() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(value(1))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as failed:
        await fail_together()
    assert failed.group_contains(KeyError)
    held.let_go(7)
    assert await outside == 7
    assert (held.began, held.cancelled) == (1, 0)


async def test_an_anyio_scope_ends_the_wait_and_not_the_shared_load(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """A cancel scope of anyio, which cancels again and again until it is left, ends only the wait inside it."""
    outside = asyncio.create_task(value(1))
    await held.until_began()
    with anyio.move_on_after(0.01) as scope:
        await value(1)
    assert scope.cancelled_caught
    held.let_go(7)
    assert await outside == 7
    assert held.cancelled == 0


async def test_an_anyio_scope_around_the_only_reader_ends_the_load(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """When the only reader of a load leaves by an anyio scope, the load is cancelled and leaves nothing behind."""
    with anyio.move_on_after(0.01):
        await value(1)
    await soon(lambda: at_rest(cache))
    assert held.cancelled == 1


async def test_the_loads_context_is_its_leaders(cache: Cache) -> None:
    """The load sees the context variables of the caller that began it, and what it sets does not leak back."""
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")

    @cache.read("of_tenant", Contract(ttl="60s"), vary=tenant)
    async def of_tenant(key: int) -> str:
        seen = tenant.get()
        tenant.set("the loader's")
        return seen

    tenant.set("blue")
    assert await of_tenant(1) == "blue"
    assert tenant.get() == "blue"
    tenant.set("green")
    assert await of_tenant(1) == "green"


async def test_a_reader_that_is_closed_by_hand_leaves_its_load(
    cache: Cache, value: Any, held: HeldLoads
) -> None:
    """A read whose coroutine is closed instead of cancelled counts as gone too, so its load is stopped."""
    reading = value(1)
    reading.send(None)  # to its first wait, as a task would
    await held.until_began()
    reading.close()
    await soon(lambda: at_rest(cache))
    assert held.cancelled == 1


async def test_a_batch_that_is_cancelled_leaves_all_its_loads(
    cache: Cache, source: Source[Resource], resource: Resource, held: HeldLoads
) -> None:
    """Cancelling a read of many keys leaves the one load of all of them, which then is cancelled."""

    @cache.read("item", Contract(ttl="60s"), source=source)
    async def item(resource: Resource, key: int) -> int:
        return key

    @item.batch
    async def _(resource: Resource, keys: list[int]) -> dict[int, int]:
        await held()
        return {}

    reading = asyncio.create_task(item.many([1, 2, 3]))
    await held.until_began()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await soon(lambda: at_rest(cache))
    assert (held.cancelled, resource.closed) == (1, 1)


async def test_failures_leave_no_warning_behind(cache: Cache, value: Any, held: HeldLoads) -> None:
    """No task, coroutine or exception is left that the collector would complain about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
        caller = asyncio.create_task(value(1))
        await held.until_began()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        held.let_go(ValueError("odd"))
        await asyncio.gather(value(2), return_exceptions=True)
        await soon(lambda: at_rest(cache))
        del caller
        gc.collect()
        await asyncio.sleep(0)
    assert unheard == []
    assert [str(warning.message) for warning in caught] == []
