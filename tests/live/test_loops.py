"""What one process hears of another's writes, whatever its own threads and loops are doing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from tests.live.service import MINUTE, WAIT_S, Rows, Service, Start, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cacheaside.testing.servers import Server


SOON_S = 0.25
"""Far below max_unsynced: who is later has not heard, and G2 alone held. Far above what a busy machine needs."""


def wait_for(condition: Callable[[], bool]) -> float:
    """Return once `condition()` holds, on this thread; how many seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < WAIT_S
        time.sleep(0.001)
    return time.monotonic() - began


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def test_an_idle_process_hears(server: Server, processes: Start, colour: str) -> None:
    """A process that does nothing hears of a write by itself, and drops what it held."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    await until(lambda: _is_held(other, 1))
    await one.ready()
    held = other.product.endpoint.table.entries
    assert 1 in held
    await one.write(1, 1)
    assert await until(lambda: 1 not in held) < SOON_S


@pytest.mark.blocks_loop
async def test_a_blocked_loop_hears(server: Server, processes: Start) -> None:
    """While a coroutine blocks the loop, a thread of the library hears instead."""
    reader, writer = processes(server.url), processes(server.url, colour="threads")
    await until(lambda: _is_held(reader, 1))
    await writer.ready()
    held = reader.product.endpoint.table.entries
    assert 1 in held
    written = threading.Event()

    def write() -> None:
        writer.rows.values[1] = 1
        writer.cache.blocking.invalidate(writer.products(1))
        written.set()

    threading.Thread(target=write).start()
    assert written.wait(5)
    acknowledged = time.monotonic()
    while 1 in held:
        assert time.monotonic() - acknowledged < SOON_S
        time.sleep(0.001)  # noqa: ASYNC251 - that the loop is blocked is the point
    assert await reader.get(1) == 1


@pytest.mark.parametrize("first", ["this loop", "a thread", "another loop"])
async def test_a_busy_loop_hears(server: Server, processes: Start, rows: Rows, first: str) -> None:
    """A loop that never rests hears of writes itself, also when it was not the first to use the cache: a thread alone
    would have to wait for its turn at the interpreter's lock."""
    reader, writer = processes(server.url), processes(server.url)

    @reader.cache.read("sync", MINUTE)
    def sync(key: int) -> int:
        return key

    if first == "a thread":
        await asyncio.to_thread(sync, 1)
    elif first == "another loop":
        await asyncio.to_thread(asyncio.run, reader.get(5))
    await until(lambda: _is_held(reader, 1))
    assert asyncio.get_running_loop() in reader.cache._host.shared.keeper._watches
    ends = False

    async def spin() -> None:
        while not ends:
            sum(range(2000))
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spin())
    delays = []
    for number in range(1, 6):
        await until(lambda: _is_held(reader, 1))
        await writer.write(1, number)
        delays.append(await until(lambda number=number: _reads(reader, 1, number)))
    ends = True
    await spinning
    assert max(delays) < SOON_S, delays


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


def test_busy_threads_hear(server: Server, namespace: str, rows: Rows) -> None:
    """Threads that compute without rest, with no loop anywhere, hear of another process's write."""
    reader = Service(server.url, rows, colour="threads", namespace=namespace)
    writer = Service(server.url, rows, colour="threads", namespace=namespace)
    ends = threading.Event()

    def compute() -> None:
        while not ends.is_set():
            sum(range(5000))

    computing = [threading.Thread(target=compute) for _ in range(2)]
    for thread in computing:
        thread.start()
    try:
        for number in range(1, 6):
            wait_for(lambda: reader.product.lookup(1).tier is Tier.L1)
            rows.values[1] = number
            writer.cache.blocking.invalidate(writer.products(1))
            assert wait_for(lambda number=number: reader.product(1) == number) < 4 * SOON_S
    finally:
        ends.set()
        for thread in computing:
            thread.join()
        reader.cache.close()
        writer.cache.close()


def test_several_loops_in_threads(server: Server, namespace: str, rows: Rows) -> None:
    """Loops in several threads share one L1, hear together, and one that ends takes nothing from the others."""
    service = Service(server.url, rows, namespace=namespace)
    writer = Service(server.url, rows, colour="threads", namespace=namespace)
    ends = threading.Event()
    seen: dict[int, int] = {}

    async def read(number: int, times: int) -> None:
        count = 0
        while not ends.is_set() and count != times:
            seen[number] = await service.get(1)
            count += 1
            await asyncio.sleep(0.001)
        await service.cache._host.shared._aio.aclose()

    threads = [
        threading.Thread(target=lambda n=number, t=times: asyncio.run(read(n, t)))
        for number, times in enumerate([-1, -1, 5, 5])
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads[2:]:
            thread.join(20)
        for value in range(1, 6):
            rows.values[1] = value
            writer.cache.blocking.invalidate(writer.products(1))
            assert wait_for(lambda value=value: {seen.get(0), seen.get(1)} == {value}) < 4 * SOON_S
    finally:
        ends.set()
        for thread in threads:
            thread.join(20)
        service.cache.close()
        writer.cache.close()


@pytest.mark.parametrize("closed", [True, False])
def test_a_loop_that_is_gone(server: Server, namespace: str, rows: Rows, closed: bool) -> None:
    """Loops that were closed, or stand still, keep nobody from hearing."""
    service = Service(server.url, rows, namespace=namespace)
    writer = Service(server.url, rows, colour="threads", namespace=namespace)

    @service.cache.read("sync", MINUTE, tags=lambda key: [service.products(key)])
    def sync(key: int) -> int:
        return rows.load(key)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(service.get(1))
    if closed:
        loop.run_until_complete(service.cache._host.shared._aio.aclose())
        loop.close()
    for number in range(1, 4):
        wait_for(lambda: sync.lookup(1).tier is Tier.L1)
        rows.values[1] = number
        writer.cache.blocking.invalidate(writer.products(1))
        assert wait_for(lambda number=number: sync(1) == number) < 2 * SOON_S
    if not closed:
        loop.run_until_complete(service.cache.aclose())
        loop.close()
    service.cache.close()
    writer.cache.close()


async def test_many_invalidations(server: Server, processes: Start, rows: Rows) -> None:
    """Thousands of invalidations in a row are all heard, and what they were about is new everywhere."""
    one, other = processes(server.url), processes(server.url)
    keys = list(range(500))
    await other.product.many(keys)
    await one.ready()
    rows.values.update(dict.fromkeys(keys, 1))
    for _ in range(10):
        await asyncio.gather(*[one.cache.invalidate(one.products(key)) for key in keys])

    async def are_new() -> bool:
        values: Any = await other.product.many(keys)
        return bool(values == [1] * len(keys))

    await until(are_new)
