"""A server that is short of memory, or loses all that it held: that costs loads, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from cacheaside.errors import Unacknowledged
from cacheaside.testing.servers import Server
from tests.held import HeldLoads
from tests.live.service import MINUTE, Rows, Service, Start, ask, stat, until
from tests.live.test_outage import recovers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Server]:
    """A server with little memory, that evicts whatever was used longest ago, generations too."""
    with Server(maxmemory="2500kb", config={"maxmemory-policy": "allkeys-lru"}) as started:
        yield started


@pytest.fixture
def full() -> Iterator[Server]:
    """A server that refuses to store when its memory is full."""
    with Server(config={"maxmemory-policy": "noeviction"}) as started:
        yield started


async def test_evicted_generations(forgetful: Server, processes: Start, rows: Rows) -> None:
    """While the server evicts all the time, entries and generations alike, no process returns what another's
    acknowledged invalidation put out of date."""
    one = processes(forgetful.url, l1_entries=0)
    other = processes(forgetful.url, colour="threads", l1_entries=0)
    loads: list[int] = []

    def load(key: int) -> str:
        loads.append(key)
        return f"{rows.values.get(key, 0)} {'x' * 10_000}"

    for service in (one, other):

        def declare(service: Service) -> Any:
            def text(key: int) -> str:
                return load(key)

            return service.read("long", MINUTE, tags=lambda key: [service.products(key)])(text)

        service.long = declare(service)  # type: ignore[attr-defined]
    for number in range(1, 1200):
        key = number * 7 % 300
        if number % 5 == 0:
            await (one if number % 2 else other).write(key, number)
        for service in (one, other):
            text = await service.do(service.long, key)  # type: ignore[attr-defined]
            assert text.startswith(f"{rows.values.get(key, 0)} ")
    assert int(await stat(forgetful, "stats", "evicted_keys")) > 100


async def test_the_generation_of_everything_lives(server: Server, processes: Start) -> None:
    """The namespace's own generation, which every entry depends on, does not expire: its end would be the end of every
    entry of every process at the same moment."""
    service = processes(server.url)
    await service.ready()
    name = f"{service.cache.namespace}:!{{{service.cache._host.everything}}}"
    assert await ask(server, "EXISTS", name) == 1
    assert await ask(server, "PTTL", name) == -1
    await service.cache.invalidate_all()
    assert await ask(server, "PTTL", name) == -1


async def test_a_full_server(full: Server, processes: Start, colour: str, rows: Rows) -> None:
    """On a server that is full, reads are answered, what is there is served, and an invalidation that is not taken says
    so; with room again all is as before."""
    service = processes(full.url, colour=colour)
    await service.get(1)
    await recovers(service)
    await ask(full, "CONFIG", "SET", "maxmemory", "1")
    assert await service.get(1) == 0
    assert await service.get(2) == 0
    with suppress(Unacknowledged):  # whether there was room after all is the server's to say
        await service.write(1, 1)
    assert await service.get(1) == 1
    await ask(full, "CONFIG", "SET", "maxmemory", "0")
    await until(lambda: not service.cache._host.shared.owed)
    await until(lambda: _is_held(service, 1))
    assert await service.get(1) == 1
    await until(lambda: _is_held(service, 2))


async def test_a_full_server_and_others(full: Server, processes: Start, colour: str, rows: Rows) -> None:
    """An invalidation that a full server refuses to store reaches the other processes when there is room again."""
    one = processes(full.url, colour=colour, when_away="retry")
    other = processes(full.url, colour=colour)
    for service in (one, other):
        await service.get(1)
        await recovers(service)
    await ask(full, "CONFIG", "SET", "maxmemory", "1")
    await one.write(1, 1)
    assert await one.get(1) == 1
    await ask(full, "CONFIG", "SET", "maxmemory", "0")
    await until(lambda: _reads(other, 1, 1))


async def test_all_is_flushed_during_a_load(victim: Server, processes: Start, rows: Rows) -> None:
    """What was being loaded while the server lost everything is returned; it is not held, and a write that came in
    between is seen by who asks after it."""
    one, other = processes(victim.url), processes(victim.url)
    held = HeldLoads()

    @one.cache.read("slow", MINUTE, tags=lambda key: [one.products(key)])
    async def slow(key: int) -> int:
        value: int = await held(key)
        return value

    await one.ready()
    await other.ready()
    first = asyncio.create_task(slow.lookup(1))
    await held.until_began()
    await ask(victim, "FLUSHALL")
    await other.cache.invalidate(other.products(1))
    late = asyncio.create_task(slow(1))
    await asyncio.sleep(0)
    held.let_go(1)
    assert not (await first).stored
    assert await late == 1
    assert held.began == 2
    held.outcome = 2
    await other.cache.invalidate(other.products(1))

    async def is_new() -> bool:
        return bool(await slow(1) == 2)

    await until(is_new)


async def test_all_is_flushed(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """When the server loses everything the processes drop what they hold, and share anew."""
    one, other = processes(victim.url, colour=colour), processes(victim.url, colour=colour)
    for service in (one, other):
        await service.get(1)
        await recovers(service)
    rows.values[1] = 1
    await ask(victim, "FLUSHALL")
    for service in (one, other):
        await until(lambda service=service: _reads(service, 1, 1))
        await recovers(service)


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)
