"""Defects that an adversary found, each kept out by its rule."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, UsageError
from cacheaside.testing import disabled


@pytest.fixture
def cache() -> Cache:
    """A cache of its own for each test."""
    return Cache(namespace="attacks")


async def test_a_read_with_more_tags_than_the_load_under_way_does_not_join_it(cache: Cache) -> None:
    """A load that was not stamped with a tag could not be closed by that tag's invalidation."""
    tag = cache.tag("t", int)
    row = ["old"]
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        seen = row[0]
        begun.set()
        await go_on.wait()
        return seen

    contract = Contract("60s")
    first = asyncio.create_task(cache.get_or_load("k", load, contract, type=str))
    await begun.wait()
    row[0] = "new"
    await cache.invalidate(tag(1))
    second = asyncio.create_task(cache.get_or_load("k", load, contract, type=str, tags=[tag(1)]))
    await asyncio.sleep(0)
    go_on.set()
    assert (await first, await second) == ("old", "new")


def test_tags_from_what_is_no_part_of_the_key_are_refused(cache: Cache) -> None:
    """Two calls that share an entry cannot each name tags of their own."""
    tag = cache.tag("t", int)
    with pytest.raises(DeclarationError, match="tags= asks for 'shard'"):

        @cache.read("e", Contract("60s"), ignore=["shard"], tags=lambda shard: [tag(shard)])
        def e(key: int, shard: int) -> int:
            return key


def test_an_invalidation_in_the_middle_of_a_hit_is_not_undone(cache: Cache) -> None:
    """A signal handler may invalidate on the very thread that is about to make an entry's hits fast again."""
    left = [0]

    def now() -> float:
        left[0] -= 1
        if left[0] == 0:
            cache.blocking.invalidate_all()
        return 100.0

    @cache.read("e", Contract("1h", stale_after_invalidation="1h"))
    def e(key: int) -> int:
        return key

    fired = 0
    cache._use_clock(now)
    for readings in range(1, 8):
        e.refresh(1)
        left[0] = readings
        e.lookup(1)
        if left[0] <= 0:
            fired += 1
            left[0] = 0
            assert e.using(stale_after_invalidation=0).lookup(1).served == "loaded"
    assert fired


def test_an_error_ttl_of_zero_remembers_nothing(cache: Cache) -> None:
    """The first class that fits decides, and zero is not the contract's ttl."""
    loads = [0]

    @cache.read("e", Contract("1h", error_ttl={KeyError: 0, LookupError: "5s"}))
    def e(key: int) -> int:
        loads[0] += 1
        raise KeyError(key)

    for _ in range(3):
        with pytest.raises(KeyError):
            e(1)
    assert loads[0] == 3


@dataclass(frozen=True)
class NotFound(Exception):
    key: int


def test_an_exception_that_refuses_changes_reaches_the_caller(cache: Cache) -> None:
    """A frozen dataclass is a legal exception; nothing on its way may write to it."""

    @cache.read("e", Contract("60s", error_ttl={NotFound: "5s"}))
    def e(key: int) -> int:
        raise NotFound(key)

    @cache.read("a", Contract("60s"))
    async def a(key: int) -> int:
        raise NotFound(key)

    for _ in range(2):
        with pytest.raises(NotFound):
            e(1)
    with pytest.raises(NotFound):
        asyncio.run(a(1))


def test_a_remembered_error_keeps_no_frames_and_no_callers_secrets(cache: Cache) -> None:
    """What a loader and an earlier caller had in hand does not live on in the exception that another one gets."""

    @cache.read("e", Contract("60s", error_ttl={LookupError: "5s"}))
    def e(key: int) -> int:
        raise LookupError(key)

    def handle() -> None:
        try:
            raise ValueError("secret of another request")
        except ValueError:
            e(1)

    with pytest.raises(LookupError):
        handle()
    with pytest.raises(LookupError) as second:
        e(1)
    assert second.value.__context__ is None
    assert [frame for frame in second.traceback if frame.name == "e" and str(frame.path) == __file__] == []


def test_an_inner_value_older_than_the_outer_contract_is_loaded_anew(cache: Cache) -> None:
    """Age joins: what is older than the outer ttl cannot be part of a value that is not."""
    t = [0.0]
    cache._use_clock(lambda: t[0])

    @cache.read("inner", Contract("60s", jitter=0))
    def inner(key: int) -> float:
        return t[0]

    @cache.read("outer", Contract("2s", jitter=0))
    def outer(key: int) -> float:
        return inner(key)

    inner(1)
    t[0] = 5.0
    found = outer.lookup(1)
    assert (found.value, found.age_s) == (5.0, 0.0)
    assert outer.lookup(1).hit


def test_a_record_that_caches_on_itself_is_not_shared(cache: Cache) -> None:
    """A cached_property is kept on the instance, so a frozen class that has one is not immutable."""

    @cache.read("e", Contract("60s"))
    def e(key: int) -> Parts:
        return Parts("a b")

    e(1).parts.append("EVIL")
    assert e(1).parts == ["a", "b"]


@dataclass(frozen=True)
class Parts:
    text: str

    @functools.cached_property
    def parts(self) -> list[str]:
        return self.text.split()


def test_a_resource_that_swallows_the_loaders_exception_is_named(cache: Cache) -> None:
    """With neither a value nor an error there is nothing to answer, and the source is to blame."""

    @contextlib.contextmanager
    def swallowing() -> Iterator[None]:
        with contextlib.suppress(ValueError):
            yield

    db: Any = cache.source("db", open=swallowing)

    @cache.read("e", Contract("60s"), source=db)
    def e(resource: None, key: int) -> int:
        raise ValueError(key)

    with pytest.raises(UsageError, match="source 'db' suppressed"):
        e(1)


def test_a_timeout_that_no_thread_can_wait_is_refused(cache: Cache) -> None:
    """It would end the first load that has to queue with an OverflowError."""
    with pytest.raises(DeclarationError, match="longer than a thread can wait"):
        cache.source("db", open=contextlib.nullcontext, timeout="1000000d")


async def test_a_disabled_block_leaves_a_disabled_cache_as_it_was(cache: Cache) -> None:
    """The kill switch that shares loads goes on sharing them after a test's block without a cache."""

    @cache.read("e", Contract("60s"))
    async def e(key: int) -> int:
        await asyncio.sleep(0)
        return key

    cache.disable()
    with disabled(cache):
        await asyncio.gather(e(1), e(1))
    await asyncio.gather(e(1), e(1))
    assert cache.stats().endpoints["e"].loads == 3
