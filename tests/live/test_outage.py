"""The shared tier is lost and comes back: no read fails or waits because of it, and nobody has to do anything."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Forward, Tier
from cacheaside.errors import Unacknowledged
from tests.live.service import Rows, Service, Start, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server


DEADLINE_S = 0.3
"""Long beside the delays of a busy machine, so that who waited for it is told from who did not."""
PATIENT: dict[str, Any] = {"deadline": DEADLINE_S}


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port where nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{bound.getsockname()[1]}/0"


async def reads_s(service: Service, count: int = 8, *, first: int = 1000) -> list[float]:
    """How long each of so many reads of cold keys takes, one after the other."""
    took: list[float] = []
    for key in range(first, first + count):
        began = time.monotonic()
        found = await service.lookup(key)
        took.append(time.monotonic() - began)
        assert found.value == 0
    return took


def one_waited(took: list[float]) -> bool:
    """The first read may wait for the deadline, once, and no other waits at all."""
    print("reads took", [f"{one:.3f}" for one in took])
    return took[0] < 1.5 * DEADLINE_S and all(one < DEADLINE_S / 2 for one in took[1:])


async def recovers(service: Service) -> None:
    """Return once what is loaded is shared, and L1 answers, again."""
    await until(lambda: _is_held(service, -1))


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def test_refused_from_the_start(nobody: str, processes: Start, colour: str) -> None:
    """Where no server listens, no read waits, and each says why it went to the source."""
    service = processes(nobody, colour=colour, **PATIENT)
    took = await reads_s(service)
    assert all(one < DEADLINE_S / 2 for one in took)
    assert (await service.lookup(1)).forward is Forward.AWAY
    with pytest.raises(Unacknowledged, match="products"):
        await service.invalidate(service.products(1))


async def test_frozen_from_the_start(victim: Server, processes: Start, colour: str) -> None:
    """A server that accepts connections and answers nothing costs one read its deadline; then it is left alone."""
    victim.freeze()
    service = processes(victim.url, colour=colour, **PATIENT)
    assert one_waited(await reads_s(service))
    victim.thaw()
    await recovers(service)


async def test_killed_while_in_use(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """When the server is killed no read waits; L1 answers for as long as it is known to be valid. When it comes back,
    empty, all is shared again, and nothing that was written meanwhile is missed."""
    one = processes(victim.url, colour=colour, max_unsynced="60s", **PATIENT)
    other = processes(victim.url, colour=colour, max_unsynced="60s", **PATIENT)
    await recovers(one)
    await other.get(1)
    await recovers(other)
    await asyncio.to_thread(victim.kill)
    took = await reads_s(one)
    assert all(one < DEADLINE_S / 2 for one in took)
    assert (await other.lookup(-1)).tier is Tier.L1
    rows.values[1] = 5
    with pytest.raises(Unacknowledged):
        await one.invalidate(one.products(1))
    assert await one.get(1) == 5
    await asyncio.to_thread(victim.start)
    await recovers(one)
    await recovers(other)
    await until(lambda: _reads(one, 1, 5))
    await until(lambda: _reads(other, 1, 5))


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


async def test_frozen_while_in_use(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """A server that is stopped in its tracks costs one read its deadline. What this process wrote meanwhile it never
    reads old, and others neither once it goes on."""
    one, other = (processes(victim.url, colour=colour, max_unsynced="1s", **PATIENT) for _ in range(2))
    for service in (one, other):
        await recovers(service)
        await service.get(1)
    victim.freeze()
    assert one_waited(await reads_s(one))
    with pytest.raises(Unacknowledged):
        await one.write(1, 7)
    assert await one.get(1) == 7
    victim.thaw()
    await until(lambda: _reads(other, 1, 7))
    await recovers(one)
    await recovers(other)
    assert [await one.get(1), await other.get(1)] == [7, 7]


async def test_l1_is_bounded_while_the_server_is_frozen(
    victim: Server, processes: Start, colour: str
) -> None:
    """An entry held here is served for max_unsynced after the last sign of life, and no longer (G2)."""
    service = processes(victim.url, colour=colour, max_unsynced="500ms", deadline="100ms")
    await recovers(service)
    victim.freeze()
    began = time.monotonic()
    assert (await service.lookup(-1)).tier is Tier.L1
    await until(lambda: _is_from(service, Tier.SOURCE))
    assert time.monotonic() - began < 1.5
    victim.thaw()


async def _is_from(service: Service, tier: Tier) -> bool:
    return (await service.lookup(-1)).tier is tier


async def test_an_invalidation_gets_through_after_all(
    victim: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """With when_away="retry" an invalidation during an outage raises nothing, holds here at once, and reaches the
    others when the server is back with all that it held."""
    one = processes(victim.url, colour=colour, when_away="retry", **PATIENT)
    other = processes(victim.url, colour=colour, **PATIENT)
    for service in (one, other):
        await service.get(1)
        await recovers(service)
    victim.freeze()
    await one.write(1, 3)
    assert await one.get(1) == 3
    assert not (await one.lookup(1)).stored
    victim.thaw()
    await until(lambda: _reads(other, 1, 3))
    await until(lambda: not one.cache._host.shared.owed)
    await until(lambda: _is_held(one, 1))
    assert await one.get(1) == 3


async def test_a_bracket_during_an_outage(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """`changing` refuses to begin where the tier does not take the mark, unless it is to go on, and be told later."""
    service = processes(victim.url, colour=colour, **PATIENT)
    await service.get(1)
    await recovers(service)
    victim.freeze()
    with pytest.raises(Unacknowledged):
        await service.changing(1, 2)
    assert rows.values.get(1, 0) == 0
    assert await service.get(1) == 0
    await service.changing(1, 3, when_away="retry")
    assert await service.get(1) == 3
    victim.thaw()
    await until(lambda: not service.cache._host.shared.owed)
    assert await service.get(1) == 3


async def test_the_server_goes_during_a_bracket(victim: Server, processes: Start, rows: Rows) -> None:
    """When the tier is lost between the mark and the end of the block, the end says so, and the block stands."""
    service = processes(victim.url, **PATIENT)
    await service.get(1)
    change = service.cache.changing(service.products(1))
    await change.__aenter__()
    rows.values[1] = 4
    await asyncio.to_thread(victim.kill)
    with pytest.raises(Unacknowledged):
        await change.__aexit__(None, None, None)
    assert await service.get(1) == 4
    with pytest.raises(LookupError, match="the block's own"):
        async with service.cache.changing(service.products(1), when_away="retry"):
            raise LookupError("the block's own")


async def test_many_outages(victim: Server, processes: Start, rows: Rows) -> None:
    """Reads and writes go on while the server is killed and started again and again; what a write was acknowledged
    for no process reads old, and at the end all is as it was."""
    one, other = (processes(victim.url, when_away="retry", max_unsynced="200ms") for _ in range(2))
    ends = asyncio.Event()

    async def read(service: Service) -> int:
        count = 0
        while not ends.is_set():
            seen = rows.values.get(1, 0)
            value = await service.get(1)
            assert value <= rows.values.get(1, 0)
            if service is one:
                assert value >= seen, "older than what this process wrote"
            count += 1
            await asyncio.sleep(0.001)
        return count

    async def write() -> None:
        number = 0
        while not ends.is_set():
            number += 1
            await one.write(1, number)
            await asyncio.sleep(0.005)

    writing = asyncio.create_task(write())
    reading = [asyncio.create_task(read(service)) for service in (one, other)]
    for _ in range(4):
        await asyncio.to_thread(victim.restart, kill=True)
        await until(lambda: one.cache._host.shared.servers.all_up)
    ends.set()
    await writing
    assert all(count > 10 for count in await asyncio.gather(*reading))
    await until(lambda: not one.cache._host.shared.owed)
    last = rows.values[1]
    await until(lambda: _reads(other, 1, last))
    await recovers(one)
