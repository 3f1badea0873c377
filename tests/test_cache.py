"""A cache as a whole: apart from others, usable from everywhere, switched on and off, ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, Forward, Overloaded
from cacheaside.testing.servers import Server

MINUTE = Contract("60s")


def counting(cache: Cache, name: str = "count") -> Any:
    loads = iter(range(1, 1000))

    @cache.read(name, MINUTE)
    def count(key: int) -> int:
        return next(loads)

    return count


def test_a_cache_alone_needs_nothing() -> None:
    """`Cache()` works in this process, with no server and no thread until something has to run behind a reader."""
    before = threading.active_count()
    cache = Cache()
    count = counting(cache)
    assert [count(1), count(1)] == [1, 1]
    assert cache.namespace == "app"
    assert cache.enabled
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("commit_timeout", "said"),
    [
        (
            "0s",
            "ends before a commit does, so that the mark of a writer protects nothing: 100 ms is the least",
        ),
        ("99ms", "100 ms is the least"),
        ("25h", "is longer than a commit takes: 1 d is the most"),
        ("100000000d", "1 d is the most"),
    ],
)
def test_a_mark_that_protects_nothing_is_refused(commit_timeout: str, said: str) -> None:
    """`commit_timeout` is bounded on both sides, and the error says by what."""
    with pytest.raises(DeclarationError) as raised:
        Cache(commit_timeout=commit_timeout)
    assert str(raised.value).startswith(f"commit_timeout='{commit_timeout}' ")
    assert said in str(raised.value)


def test_caches_share_nothing() -> None:
    """Two caches of one process, even of one namespace, have entries, names and switches of their own."""
    one, other = Cache(namespace="shop"), Cache(namespace="shop")
    first, second = counting(one), counting(other)
    assert (first(1), second(1)) == (1, 1)
    one.clear()
    other.disable()
    assert one.enabled
    assert first(1) == 2
    assert (second(1), second(1)) == (2, 3)


def test_a_cache_says_what_it_is() -> None:
    """Its text has the namespace and how much it holds."""
    cache = Cache(namespace="shop")
    counting(cache)(1)
    assert repr(cache) == "<Cache shop entries=1 endpoints=1>"
    cache.disable()
    assert repr(cache) == "<Cache shop DISABLED entries=1 endpoints=1>"


def test_l1_is_bounded_by_entries() -> None:
    """More keys than `l1_entries` never hold more entries; what is held is served."""
    cache = Cache(l1_entries=10)
    count = counting(cache)
    for key in range(100):
        count(key)
        assert cache.stats().entries <= 10
    assert cache.stats().endpoints["count"].evicted >= 90
    assert count(99) == 100


def test_a_key_that_was_evicted_says_so() -> None:
    """A miss for want of room is told from one of a key that was never asked for."""
    cache = Cache(l1_entries=10)
    count = counting(cache)
    for key in range(20):
        count(key)
    gone = next(key for key in range(20) if key not in count.endpoint.table.entries)
    assert count.lookup(gone).forward is Forward.EVICTED
    assert count.lookup(99).forward is Forward.ABSENT
    assert cache.stats().endpoints["count"].misses["evicted"] == 1


def test_l1_is_bounded_by_bytes() -> None:
    """Payload held is never more than `l1_bytes`, and a value that would crowd out all others is not kept."""
    cache = Cache(l1_bytes="16KiB")

    @cache.read("text", MINUTE)
    def text(size: int) -> str:
        return "x" * size

    for size in range(100, 2000, 100):
        text(size)
        assert cache.stats().bytes_used <= 16 * 1024
    lookup = text.lookup(8000)
    assert (lookup.value, lookup.not_stored) == ("x" * 8000, "too_large")


def test_one_cache_in_several_event_loops() -> None:
    """Async endpoints serve every loop of the process: what one loop loaded is a hit in the next."""
    cache = Cache()
    loads: list[int] = []

    @cache.read("rows", MINUTE)
    async def rows(key: int) -> int:
        loads.append(key)
        await asyncio.sleep(0)
        return key

    assert [asyncio.run(rows(1)) for _ in range(3)] == [1, 1, 1]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda key: asyncio.run(rows(key)), [1, 2, 3, 4] * 5))
    assert answers == [1, 2, 3, 4] * 5
    assert set(loads) == {1, 2, 3, 4}


@pytest.mark.blocks_loop
async def test_both_colours_in_one_cache() -> None:
    """Sync and async endpoints of one cache stand side by side, and a tag reaches both."""
    cache = Cache()
    tag = cache.tag("rows", int)
    loads: list[str] = []

    @cache.read("awaited", MINUTE, tags=lambda key: [tag(key)])
    async def awaited(key: int) -> int:
        loads.append("awaited")
        return key

    @cache.read("blocking", MINUTE, tags=lambda key: [tag(key)])
    def blocking(key: int) -> int:
        loads.append("blocking")
        return key

    for _ in range(2):
        assert (await awaited(1), blocking(1)) == (1, 1)
    cache.blocking.invalidate(tag(1))
    assert (await awaited(1), blocking(1)) == (1, 1)
    await cache.invalidate(tag(1))
    assert (await awaited(1), blocking(1)) == (1, 1)
    assert sorted(loads) == ["awaited"] * 3 + ["blocking"] * 3


async def test_the_end_of_a_cache() -> None:
    """`async with` ends what runs behind its readers; reads still work after it."""
    t = [0.0]
    cancelled: list[bool] = []
    never = asyncio.Event()
    async with Cache() as cache:
        cache._use_clock(lambda: t[0])

        @cache.read("rows", Contract("60s", grace="60s", jitter=0))
        async def rows(key: int) -> int:
            if t[0] > 0 and not cancelled:
                try:
                    await never.wait()
                finally:
                    cancelled.append(True)
            return key

        assert await rows(1) == 1
        t[0] = 61
        assert (await rows.lookup(1)).refreshing
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert cancelled == [True]
    assert (await rows.lookup(1)).value == 1


def test_the_end_of_a_cache_in_sync_code() -> None:
    """`with` waits for the refreshes under way, so that what they loaded is stored when it ends."""
    t = [0.0]
    started = threading.Event()
    with Cache() as cache:
        cache._use_clock(lambda: t[0])

        @cache.read("rows", Contract("60s", grace="60s", jitter=0))
        def rows(key: int) -> int:
            started.set()
            return key

        assert rows(1) == 1
        started.clear()
        t[0] = 61
        assert rows.lookup(1).refreshing
        assert started.wait(10)
    assert cache.stats().endpoints["rows"].stored == 2
    assert rows.lookup(1).age_s == 0


async def test_a_limit_of_a_source_is_kept() -> None:
    """No more loads run at once than the source allows; past the queue before it a load is refused, by name."""
    cache = Cache()
    running = [0, 0]
    release = asyncio.Event()

    @asynccontextmanager
    async def handle() -> Any:
        running[0] += 1
        running[1] = max(running)
        yield None
        running[0] -= 1

    db = cache.source("db", open=handle, limit=2)

    @cache.read("rows", MINUTE, source=db)
    async def rows(handle: None, key: int) -> int:
        await release.wait()
        return key

    readers = [asyncio.ensure_future(rows(key)) for key in range(40)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == [2, 2]
    release.set()
    answers = await asyncio.gather(*readers, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Overloaded)]
    assert running[1] == 2
    assert [one for one in answers if isinstance(one, int)] == list(range(40 - len(refused)))
    assert len(refused) == 40 - 2 - 2 * 16
    assert (refused[0].endpoint, refused[0].source) == ("rows", "db")
    assert refused[0].retry_after_s > 0


async def test_switches_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log sees when the cache was switched off or emptied."""
    cache = Cache(namespace="shop")
    with caplog.at_level(logging.INFO, "cacheaside"):
        cache.disable()
        cache.enable()
        await cache.invalidate_all()
        cache.blocking.invalidate_all()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "cache shop: disabled: every read goes to its source"),
        ("INFO", "cache shop: enabled"),
        ("INFO", "cache shop: everything is invalidated: its endpoints begin cold"),
        ("INFO", "cache shop: everything is invalidated: its endpoints begin cold"),
    ]


def test_strict_makes_a_value_that_cannot_be_stored_an_error() -> None:
    """Under testing what would be a warning in service is raised."""
    cache = Cache()
    wrong: Any = "text"

    @cache.read("rows", MINUTE)
    def rows(key: int) -> int:
        return wrong  # type: ignore[no-any-return]

    assert rows(1) == "text"
    cache._be_strict(True)
    with pytest.raises(Exception, match=r"rows .*int.*does not fit"):
        rows(2)


# -- a shared tier ---------------------------------------------------------------------------------------------------

NOWHERE = "redis://127.0.0.1:1/0"
"""A server that is not there."""


def test_a_cache_with_a_url_needs_a_namespace() -> None:
    """Services that share a server must not share entries by accident; without a URL there is a default."""
    with pytest.raises(DeclarationError, match=r'needs a namespace.*Cache\(url, namespace="shop"\)'):
        Cache(NOWHERE)
    assert Cache(NOWHERE, namespace="shop").namespace == "shop"
    for wrong in ("", 7):
        with pytest.raises(DeclarationError, match="namespace="):
            Cache(NOWHERE, namespace=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["ignore", "", None, True])
def test_what_a_write_does_without_the_tier_is_one_of_two(wrong: Any) -> None:
    """Whatever else is given is refused, with or without a URL."""
    for url in (None, NOWHERE):
        with pytest.raises(DeclarationError, match=f'when_away={wrong!r} must be "raise" or "retry"'):
            Cache(url, namespace="shop", when_away=wrong)


def test_only_with_a_url_may_this_process_hold_nothing() -> None:
    """Without a shared tier a cache that holds nothing would be none."""
    with pytest.raises(DeclarationError, match="l1_entries=0 must be a whole number of entries, at least 1"):
        Cache(l1_entries=0)
    assert repr(Cache(NOWHERE, namespace="shop", l1_entries=0)).endswith("entries=0 endpoints=0>")
    for wrong in (-1, True, 1.0, "many"):
        with pytest.raises(DeclarationError, match="at least 0"):
            Cache(NOWHERE, namespace="shop", l1_entries=wrong)  # type: ignore[arg-type]


def test_a_mistake_in_an_option_of_the_shared_tier_is_one_at_once() -> None:
    """Not at the first read."""
    with pytest.raises(DeclarationError, match="on_failover='panic'"):
        Cache(NOWHERE, namespace="shop", on_failover="panic")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="The URL of the server"):
        Cache("localhost", namespace="shop")


def test_a_cache_with_a_shared_tier_says_how_that_is() -> None:
    """Its text has whether it was used, and whether it is up; its stats have more, and are plain data."""
    with Cache(NOWHERE, namespace="shop", deadline="5s") as cache:
        assert repr(cache) == "<Cache shop shared=unused entries=0 endpoints=0>"
        shared = cache.stats().shared
        assert shared is not None
        assert (shared.up, shared.why_away, shared.owed) == (False, None, 0)
        assert counting(cache)(1) == 1
        shared = cache.stats().shared
        assert shared is not None
        assert not shared.up
        assert "127.0.0.1:1" in str(shared.why_away)
        assert shared.as_dict()["up"] is False
    with Server() as server, Cache(server.url, namespace="shop", deadline="5s") as cache:
        assert counting(cache)(1) == 1
        # Held, or let go of again: that a tag was created is told too, and may arrive after a quick first load.
        assert repr(cache) in {f"<Cache shop shared=up entries={held} endpoints=1>" for held in (0, 1)}
        assert cache.stats().shared.up  # type: ignore[union-attr]
    assert Cache().stats().shared is None
