"""What the end of a load says of its source: which ends shrink the limit, and which say nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract, DeclarationError, LoadTimeout, SourceStats
from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.limit import Ended, Limit, Turn
from cacheaside.source.source import Source


class NotFoundError(Exception):
    """An error of the loader's own."""


class TooManyConnections(Exception):
    """A sign of overload, once it is declared."""


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="signs")


async def soon(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


def source_of(cache: Cache, **options: Any) -> Source[None]:
    timeout = options.pop("timeout", "20s")
    return cache.source("db", open=contextlib.nullcontext, limit=Admission(32, **options), timeout=timeout)


def after(cache: Cache, source: Source[None], error: Exception | None, loads: int = 100) -> SourceStats:
    """The source's numbers after so many loads on a thread that ended with `error`."""

    @cache.read("row", Contract("60s", store=False), source=source)
    def row(resource: None, key: int) -> int:
        if error is not None:
            raise error
        return key

    for key in range(loads):
        with contextlib.suppress(type(error) if error else ()):
            row(key)
    return source.stats()


@pytest.mark.parametrize(
    "error", [NotFoundError(), ValueError("no"), LookupError("none"), TooManyConnections()]
)
def test_an_error_of_the_loaders_own_says_nothing(cache: Cache, error: Exception) -> None:
    """However many rows are not found, the limit stays what it is."""
    stats = after(cache, source_of(cache), error)
    assert (stats.limit, stats.backed_off) == (32, 0)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), LoadTimeout("", endpoint="", source="")]
)
def test_a_source_that_refuses_or_times_out_is_overloaded(cache: Cache, error: Exception) -> None:
    """Connections refused and timeouts shrink the limit, down to the floor."""
    stats = after(cache, source_of(cache, floor=3), error)
    assert stats.backed_off > 0
    assert stats.limit == 3


def test_a_drivers_own_error_can_be_declared(cache: Cache) -> None:
    """What is declared to be a sign of overload is one; what is no longer declared is none."""
    source = source_of(cache, overloaded_by=(TooManyConnections,))
    assert after(cache, source, TooManyConnections()).limit == 4
    other = Cache(namespace="other")
    assert after(other, source_of(other, overloaded_by=(TooManyConnections,)), TimeoutError()).limit == 32


async def test_a_load_that_is_timed_out_is_a_sign_and_one_that_is_cancelled_is_none(cache: Cache) -> None:
    """Loads that hang until their timeout shrink the limit; loads whose callers went away do not."""
    source = source_of(cache, timeout="300ms")
    began = 0

    @cache.read("row", Contract("60s", store=False), source=source)
    async def row(resource: None, key: int) -> int:
        nonlocal began
        began += 1
        await asyncio.get_running_loop().create_future()
        return key

    callers = [asyncio.create_task(row(key)) for key in range(30)]
    await soon(lambda: began == 30)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await soon(lambda: not source.limit.holders)
    assert source.stats().backed_off == 0
    found = await asyncio.gather(*(row(key) for key in range(30)), return_exceptions=True)
    assert {type(one) for one in found} == {LoadTimeout}
    assert source.stats().backed_off > 0


def test_without_adapting_the_limit_stays(cache: Cache) -> None:
    """adaptive=False: whatever loads end with, the limit is the ceiling; when to come again is computed as well."""
    source = source_of(cache, adaptive=False)
    stats = after(cache, source, TimeoutError())
    assert (stats.limit, stats.floor, stats.ceiling) == (32, 32, 32)
    assert source.limit.mean_s > 0.0
    assert stats.retry_after_s < 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limit": 0}, "limit=0"),
        ({"limit": True}, "limit=True"),
        ({"floor": 0}, "floor=0"),
        ({"floor": 65}, "floor=65 is above limit=64"),
        ({"queue_max": -1}, "queue_max=-1"),
        ({"queue_timeout": "soon"}, "queue_timeout='soon'"),
        ({"overloaded_by": TimeoutError}, "overloaded_by="),
        ({"overloaded_by": ("x",)}, "overloaded_by="),
        ({"shared_limit": 0}, "shared_limit=0"),
        ({"safe_share": 5}, "declare shared_limit"),
        ({"shared_limit": 99, "safe_share": 65}, "at most limit=64"),
    ],
)
def test_an_admission_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    """The message names the option and what was given."""
    with pytest.raises(DeclarationError) as refused:
        Admission(**options)
    assert says in str(refused.value)


def test_a_wait_that_is_longer_than_the_timeout_is_refused() -> None:
    """It could never be waited: the message names the source and says both."""
    with pytest.raises(DeclarationError, match=r"source 'db': queue_timeout='30s' .* timeout of 5s"):
        Cache().source("db", open=contextlib.nullcontext, limit=Admission(queue_timeout="30s"), timeout="5s")
    Cache().source("db", open=contextlib.nullcontext, limit=Admission(queue_timeout="5s"), timeout="5s")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"priority": "urgent"}, "priority='urgent' must be one of high, normal, low"),
        ({"priority": 1}, "priority=1"),
        ({"weight": 0}, "weight=0"),
        ({"weight": 1.5}, "weight=1.5"),
        ({"on_overload": "wait"}, "on_overload='wait' must be one of stale, fail"),
    ],
)
def test_a_contract_that_cannot_be_admitted_is_refused(options: dict[str, Any], says: str) -> None:
    """The same of a contract's options."""
    with pytest.raises(DeclarationError) as refused:
        Contract("60s", **options)
    assert says in str(refused.value)


def test_what_a_share_keeps_waiting_raises_no_limit() -> None:
    """A limit that came down rises when it was reached. While this process's share of it is less, loads wait for that:
    what the source does with fewer says nothing of more, of which it would have to bear them all at once when the share
    rises."""
    at, took_s, under_way = 0.0, 1.0, deque[Turn]()
    adaptive = AdaptiveLimit(4, 64)
    limit = Limit(64, 1_000, adaptive=adaptive, now=lambda: at)

    def loads(number: int, at_once: int) -> None:
        nonlocal at
        for _ in range(number):
            while len(under_way) < at_once:
                under_way.append(limit.ask(lambda: True))
            at += took_s / limit.holders
            turn = under_way.popleft()
            assert turn.granted
            limit.give_back(turn, Ended.ANSWERED, "kind")

    loads(100, 1)
    while adaptive.limit > 24:
        adaptive.overloaded()
    before = adaptive.limit
    limit.set_share(int(0.8 * before))
    loads(1_000, 60)
    print(f"{before:.1f}, then {adaptive.limit:.1f}")
    assert adaptive.limit == before
    limit.set_share(64)
    loads(1_000, 60)
    print(f"at last {adaptive.limit:.1f}")
    assert adaptive.limit > before
