"""The end of a cache: closed, used again, forgotten, or left behind by its process; whatever the server does."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING

from cacheaside import Cache, Tier
from tests.live.child import Child
from tests.live.service import MINUTE, Service, Start, clients, until
from tests.live.test_outage import recovers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server

import pytest


def threads() -> list[str]:
    """The names of this library's threads."""
    return sorted(
        thread.name
        for thread in threading.enumerate()
        # One that refreshed behind callers stays for a while; it is no cache's, and others' tests leave some.
        if thread.name.startswith("cacheaside-")
        and not thread.name.startswith(("cacheaside-test", "cacheaside-behind"))
    )


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def no_warnings() -> Iterator[None]:
    """Fails when something that should have been closed is collected open."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in caught] == []


async def test_closing_leaves_nothing_open(
    victim: Server, processes: Start, colour: str, no_warnings: None
) -> None:
    """After `aclose` there is no thread, no descriptor and no connection of the cache."""
    before = threads(), descriptors()
    service = processes(victim.url, colour=colour)
    await recovers(service)
    assert await clients(victim)
    await service.close()
    assert threads() == before[0]
    await until(lambda: _is_alone(victim))
    gc.collect()
    # What is left is what a cache has that was made and not used.
    assert descriptors() <= before[1] + 2


async def _is_alone(server: Server) -> bool:
    return not await clients(server)


async def test_use_after_closing(server: Server, processes: Start, colour: str) -> None:
    """A cache that was closed connects again when it is used again, in either colour, as often as one likes."""
    service = processes(server.url, colour=colour)
    other = processes(server.url)
    for number in range(3):
        await recovers(service)
        await service.write(1, number)
        await until(lambda number=number: _reads(other, 1, number))
        await (service.close() if number % 2 else asyncio.to_thread(service.cache.close))


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


async def test_closing_beside_a_frozen_server(victim: Server, processes: Start, colour: str) -> None:
    """Closing waits for no server: not for one that is frozen, whether or not it ever answered."""
    used, unused = (processes(victim.url, colour=colour, deadline="100ms") for _ in range(2))
    await recovers(used)
    victim.freeze()
    began = time.monotonic()
    assert await unused.get(1) == 0
    for service in (used, unused):
        pending = asyncio.create_task(service.get(2))
        await asyncio.sleep(0)
        at = time.monotonic()
        await service.close()
        assert time.monotonic() - at < 0.5
        assert await pending == 0
    at = time.monotonic()
    await asyncio.to_thread(used.cache.close)
    assert time.monotonic() - at < 0.5
    assert time.monotonic() - began < 3
    victim.thaw()


async def test_closing_while_it_connects(victim: Server, no_warnings: None) -> None:
    """A cache that is closed while it is still connecting ends what it began, whenever that comes to something."""
    victim.freeze()
    service = Service(victim.url, namespace="early", deadline="100ms")
    assert await service.get(1) == 0
    await service.close()
    victim.thaw()
    await until(lambda: "cacheaside-connect" not in threads())
    await until(lambda: _is_alone(victim))
    del service


async def test_closing_while_others_go_on(server: Server, processes: Start) -> None:
    """While one task closes the cache, reads and writes of others go on, and none fails."""
    service = processes(server.url, when_away="retry")
    ends = asyncio.Event()

    async def work(first: int) -> None:
        key = first
        while not ends.is_set():
            key += 1
            assert await service.get(key) == 0
            await service.write(key, key)
            assert await service.get(key) == key
            await asyncio.sleep(0)

    working = [asyncio.create_task(work(1000 * number)) for number in range(4)]
    for _ in range(10):
        await service.ready()
        await service.close()
    ends.set()
    await asyncio.gather(*working)


async def test_a_cache_that_is_forgotten(victim: Server, colour: str, no_warnings: None) -> None:
    """A cache that nobody refers to is collected, and its thread and connections go with it."""
    before = threads()
    service = Service(victim.url, colour=colour, namespace="forgotten")
    await recovers(service)
    forgotten = weakref.ref(service.cache._host)
    if service.is_async:
        await service.cache.aclose()
        await service.get(1)
    del service

    def is_gone() -> bool:
        gc.collect()
        return forgotten() is None and threads() == before

    await until(is_gone, within_s=5)
    await until(lambda: _is_alone(victim), within_s=5)


def test_a_cache_that_is_never_used_opens_nothing(no_warnings: None) -> None:
    """To make a cache opens and starts nothing, so whoever drops it need not close it."""
    before = threads(), descriptors()
    cache = Cache("redis://localhost:1/0", namespace="unused")
    assert (threads(), descriptors()) == before
    del cache


def test_one_loop_after_the_other(server: Server, no_warnings: None) -> None:
    """A cache used from loops that come and go, as `asyncio.run` makes them, keeps nothing of those that are gone."""
    cache = Cache(server.url, namespace="loops")

    @cache.read("number", MINUTE)
    async def number(key: int) -> int:
        return key

    async def once(key: int) -> Tier:
        await number(key)
        cache.clear()
        return (await number.lookup(key)).tier

    asyncio.run(once(0))
    before = descriptors()
    for key in range(1, 6):
        asyncio.run(once(key))
    assert descriptors() <= before + 2
    cache.close()
    assert threads() == []


@pytest.mark.parametrize("ending", ["", "cache.close()", "asyncio.run(cache.aclose())"])
async def test_a_process_that_ends(victim: Server, ending: str) -> None:
    """A process ends at once, with or without closing its caches, complains of nothing, and leaves no connection."""
    code = """
cache = Cache(sys.argv[1], namespace="ends")
@cache.read("number", Contract("60s"))
def number(key: int) -> int:
    return key
@cache.read("awaited", Contract("60s"))
async def awaited(key: int) -> int:
    return key
async def main():
    await awaited(1)
    await awaited(2)
number(1)
asyncio.run(main())
number(2)
exec(sys.argv[2])
say(time.monotonic())
"""
    with Child(code, victim.url, ending) as child:
        ended_at = float(await child.line())
        status, complaints = await child.end()
        took = time.monotonic() - ended_at
    assert (status, complaints) == (0, "")
    assert took < 1.5
    await until(lambda: _is_alone(victim))


async def test_a_reader_that_closes_the_cache_leaves_the_others_their_answers(
    server: Server, processes: Start
) -> None:
    """Readers go on as their common answer comes in. The first closes the cache; the others still get theirs, and what
    they read next begins again."""
    service = processes(server.url, l1_entries=0)
    await service.ready()
    service.rows.values.update((key, key) for key in range(20))
    await asyncio.gather(*(service.get(key) for key in range(20)))
    loads = len(service.rows.loads)

    async def read(key: int) -> int:
        value = await service.get(key)
        if key == 0:
            await service.cache.aclose()
        return value

    assert await asyncio.gather(*(read(key) for key in range(20))) == list(range(20))
    assert len(service.rows.loads) == loads
    await service.ready()
    assert await service.get(7) == 7
