"""Faults for tests: each does what it says, to its source only, and is gone after its block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cacheaside import Cache, Contract, LoadTimeout, Overloaded, UsageError
from cacheaside.testing import faults
from tests.held import WAIT_S, Callers


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="faults")


class Opened:
    """Resources of both colours, with what happened to them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @contextlib.contextmanager
    def plain(self) -> Iterator[str]:
        self.log.append("open")
        try:
            yield "plain"
        finally:
            self.log.append("close")

    @contextlib.asynccontextmanager
    async def awaited(self) -> AsyncIterator[str]:
        with self.plain():
            yield "awaited"


@pytest.fixture
def opened() -> Opened:
    return Opened()


COLOURS = [("async", "awaited"), ("async", "plain"), ("def", "plain"), ("async", None), ("def", None)]


@pytest.fixture(params=COLOURS, ids=lambda it: f"{it[0]}-{it[1]}")
def endpoint(request: pytest.FixtureRequest, cache: Cache, opened: Opened) -> Any:
    """An endpoint of each colour over each kind of source: how to read it, its source, what it then reads."""
    colour, kind = request.param
    if kind is None:
        if colour == "async":

            @cache.read("value", Contract(ttl="60s", store=False))
            async def read_alone(key: int) -> str | None:
                return None

            return lambda: asyncio.run(read_alone.lookup(1)).value, cache, None

        @cache.read("value", Contract(ttl="60s", store=False))
        def read_here(key: int) -> str | None:
            return None

        return lambda: read_here(1), cache, None
    source: Any = cache.source("db", open=getattr(opened, kind))
    if colour == "async":

        @cache.read("value", Contract(ttl="60s", store=False), source=source)
        async def read_awaited(resource: str, key: int) -> str:
            return resource

        return lambda: asyncio.run(read_awaited.lookup(1)).value, source, kind

    @cache.read("value", Contract(ttl="60s", store=False), source=source)
    def read_plain(resource: str, key: int) -> str:
        return resource

    return lambda: read_plain(1), source, "plain"


def test_a_failing_source(endpoint: Any, opened: Opened) -> None:
    """Loads raise the given error before anything is opened; after the block they work."""
    read, source, resource = endpoint
    error = ConnectionError("down")
    with faults.fail(source, error) as fault:
        for _ in range(2):
            with pytest.raises(ConnectionError) as failed:
                read()
            assert failed.value is error
    assert fault.loads == 2
    assert opened.log == []
    assert read() == resource
    assert opened.log == ([] if resource is None else ["open", "close"])


def test_a_fault_that_passes(endpoint: Any) -> None:
    """With `times` so many loads meet the fault, and the next works."""
    read, source, resource = endpoint
    with faults.fail(source, OSError, times=2) as fault:
        for _ in range(2):
            with pytest.raises(OSError):  # noqa: PT011 - it has no message
                read()
        assert read() == resource
    assert fault.loads == 2


def test_a_source_that_does_not_answer(endpoint: Any) -> None:
    """Loads end with LoadTimeout, at once."""
    read, source, resource = endpoint
    with faults.time_out(source), pytest.raises(LoadTimeout):
        read()
    assert read() == resource


def test_a_source_at_its_limit(endpoint: Any) -> None:
    """Loads are refused as by a full queue; after the block the source has its own limit again."""
    read, source, resource = endpoint
    with faults.overload(source), pytest.raises(Overloaded) as refused:
        read()
    assert refused.value.retry_after_s > 0
    assert read() == resource


def test_a_slow_source(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads are delayed by as much as was said, on a loop without blocking it."""
    read, source, resource = endpoint
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)

    with monkeypatch.context() as patch:
        patch.setattr("cacheaside.testing.faults.asyncio.sleep", sleep)
        patch.setattr("cacheaside.testing.faults.time.sleep", slept.append)
        with faults.slow(source, "250ms") as fault:
            assert read() == resource
    assert (slept, fault.loads) == ([0.25], 1)


def test_a_hanging_source(endpoint: Any) -> None:
    """Loads stay where they are until they are let go, and then go on as if nothing had been."""
    read, source, resource = endpoint
    callers = Callers()
    with faults.hang(source) as hang:
        callers.start(read)
        hang.until_blocking(1, within=WAIT_S)
        assert callers.results == []
        hang.release()
        callers.join()
        assert read() == resource  # released is released
    assert callers.results == [resource]
    assert hang.loads == 1


def test_the_end_of_the_block_lets_all_go(endpoint: Any) -> None:
    """A test that fails in the middle leaves no load hanging."""
    read, source, resource = endpoint
    callers = Callers()
    with contextlib.suppress(ZeroDivisionError), faults.hang(source) as hang:
        callers.start(read)
        hang.until_blocking(1, within=WAIT_S)
        raise ZeroDivisionError
    callers.join()
    assert callers.results == [resource]


async def test_a_hang_can_be_awaited_over_loops_and_threads(cache: Cache) -> None:
    """`until` wakes for loads on this loop and on threads alike; a cancelled load leaves the hang."""

    @cache.read("awaited", Contract(ttl="60s"))
    async def awaited(key: int) -> int:
        return key

    @cache.read("blocking", Contract(ttl="60s"))
    def blocking(key: int) -> int:
        return key

    callers = Callers()
    with faults.hang(cache) as hang:
        with pytest.raises(TimeoutError):
            await hang.until(1, within="1ms")
        readers = [asyncio.create_task(awaited(key)) for key in range(3)]
        await hang.until(3)
        callers.start(blocking, 1)
        await hang.until(4)
        readers[0].cancel()
        await asyncio.gather(readers[0], return_exceptions=True)
        hang.release()
        assert await asyncio.gather(*readers[1:]) == [1, 2]
    await asyncio.to_thread(callers.join)
    assert callers.results == [1]


def test_waiting_for_a_hang_ends() -> None:
    """A test that waits for a load that never comes is told so."""
    with (
        faults.hang(Cache(namespace="faults")) as hang,
        pytest.raises(TimeoutError, match="came to hang: 0, not 1"),
    ):
        hang.until_blocking(1, within="1ms")


def test_several_faults_are_met_in_order_and_end_in_any(cache: Cache, opened: Opened) -> None:
    """Blocks may overlap as they like: each adds its fault, and takes only its own away."""
    source = cache.source("db", open=opened.plain)
    before = source.open

    @cache.read("value", Contract(ttl="60s", store=False), source=source)
    def value(resource: str, key: int) -> str:
        return resource

    first, second = faults.fail(source, KeyError("first"), times=1), faults.fail(source, KeyError("second"))
    first.__enter__()
    second.__enter__()
    with pytest.raises(KeyError, match="first"):
        value(1)
    with pytest.raises(KeyError, match="second"):
        value(1)
    first.__exit__(None, None, None)
    with pytest.raises(KeyError, match="second"):
        value(1)
    second.__exit__(None, None, None)
    assert value(1) == "plain"
    assert source.open == before


def test_other_sources_are_not_touched(cache: Cache, opened: Opened) -> None:
    """A fault is one source's."""
    down, up = cache.source("down", open=opened.plain), cache.source("up", open=opened.plain)

    @cache.read("value", Contract(ttl="60s"), source=up)
    def value(resource: str, key: int) -> str:
        return resource

    with faults.fail(down, KeyError), faults.fail(cache, KeyError):
        assert value(1) == "plain"


def test_a_plain_endpoint_over_an_async_source_says_so(cache: Cache, opened: Opened) -> None:
    """Behind a fault as without one, a `def` cannot open an async resource."""
    source: Any = cache.source("db", open=lambda: opened.awaited())

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: str, key: int) -> str:
        return resource

    with faults.slow(source, 0), pytest.raises(UsageError):
        value(1)


def test_the_time_of_the_source_runs_while_it_hangs(cache: Cache) -> None:
    """A load that hangs is ended by its source's timeout, as in service."""
    source = cache.source("brief", open=contextlib.nullcontext, timeout="30ms")

    @cache.read("value", Contract(ttl="60s"), source=source)
    async def value(resource: None, key: int) -> int:
        return key

    with faults.hang(source), pytest.raises(LoadTimeout):
        asyncio.run(value.lookup(1))


@pytest.mark.parametrize("wrong", ["shop-db", None, contextlib.nullcontext])
def test_a_fault_takes_a_source(wrong: Any) -> None:
    """The name of a source is no source: the error says what is."""
    with (
        pytest.raises(
            UsageError,
            match=r"what cache.source\(…\) returned, or for a Cache; not for a (str|NoneType|ABCMeta)\.",
        ),
        faults.fail(wrong, ConnectionError()),
    ):
        raise AssertionError("no fault can be in place")
