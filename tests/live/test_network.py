"""The network between a cache and its server misbehaves: no read fails or hangs, and no L1 goes on with what is old."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from cacheaside.errors import Unacknowledged
from cacheaside.testing.proxy import BOTH, TO_CLIENT, TO_SERVER, Direction, Proxy
from tests.live.service import Rows, Service, Start, until
from tests.live.test_outage import DEADLINE_S, PATIENT, one_waited, reads_s, recovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from cacheaside.testing.servers import Server


def through(proxy: Proxy) -> str:
    """The URL of the server behind it."""
    return f"redis://{proxy.host}:{proxy.port}/0"


async def order(switch: Callable[..., Any], *args: Any) -> None:
    """Turn a switch of the proxy, without blocking the loop."""
    await asyncio.to_thread(switch, *args)


@pytest.mark.parametrize("direction", [TO_CLIENT, TO_SERVER])
async def test_half_open(
    server: Server,
    proxy: Proxy,
    processes: Start,
    colour: str,
    rows: Rows,
    direction: Direction,
) -> None:
    """Behind a connection that has gone silent one way no entry is served that another process invalidated more than
    max_unsynced ago (G2), and one read waits. When it works again, nobody has to do anything."""
    cut = processes(through(proxy), colour=colour, max_unsynced="500ms", **PATIENT)
    other = processes(server.url)
    await cut.get(1)
    await recovers(cut)
    await order(proxy.black_hole, direction)
    await other.write(1, 2)
    acknowledged = time.monotonic()
    while time.monotonic() < acknowledged + 1.5:
        asked = time.monotonic()
        if await cut.get(1) != 2:
            assert asked - acknowledged < 0.5
    assert await cut.get(1) == 2
    assert all(took < DEADLINE_S / 2 for took in await reads_s(cut))
    await order(proxy.heal)
    await recovers(cut)
    assert await cut.get(1) == 2


async def test_a_cut_cable(server: Server, proxy: Proxy, processes: Start, colour: str) -> None:
    """When nothing passes either way, one read waits for its deadline, an invalidation says that it was not
    acknowledged, and what it was about is read anew."""
    service = processes(through(proxy), colour=colour, **PATIENT)
    await service.get(1)
    await recovers(service)
    await order(proxy.black_hole, BOTH)
    assert one_waited(await reads_s(service))
    with pytest.raises(Unacknowledged):
        await service.write(1, 6)
    assert await service.get(1) == 6
    await order(proxy.heal)
    await recovers(service)


async def test_black_holed_from_the_start(
    server: Server, proxy: Proxy, processes: Start, colour: str
) -> None:
    """A network that swallows everything from the beginning costs one read its deadline."""
    await order(proxy.black_hole, BOTH)
    service = processes(through(proxy), colour=colour, **PATIENT)
    assert one_waited(await reads_s(service))
    await order(proxy.heal)
    await recovers(service)


async def test_slower_than_the_deadline(server: Server, proxy: Proxy, processes: Start, colour: str) -> None:
    """A server that always answers too late costs a read its deadline now and then, not every time; and is used again
    once it is quick."""
    service = processes(through(proxy), colour=colour, deadline="100ms")
    await recovers(service)
    await order(proxy.delay, 0.2)
    took = await reads_s(service, 30)
    assert sum(one > 0.05 for one in took) <= 3, took
    await order(proxy.heal)
    await recovers(service)


async def test_resets(server: Server, proxy: Proxy, processes: Start, colour: str) -> None:
    """Connections that are reset again and again cost no read more than a moment, and none an error."""
    service = processes(through(proxy), colour=colour, **PATIENT)
    await recovers(service)
    for number in range(5):
        await order(proxy.reset)
        took = await reads_s(service, 5, first=100 * number)
        assert all(one < DEADLINE_S / 2 for one in took), took
    await recovers(service)


@pytest.mark.parametrize("after_bytes", [1, 20, 200, 2000])
async def test_truncated_answers(
    server: Server, proxy: Proxy, processes: Start, colour: str, after_bytes: int
) -> None:
    """An answer that is cut anywhere is no answer: the read goes to its source, and the next connection works."""
    service = processes(through(proxy), colour=colour, l1_entries=0, **PATIENT)
    await service.ready()
    for key in range(20):
        await service.get(key)
    await order(proxy.truncate, after_bytes)
    for key in range(20):
        assert await service.get(key) == 0
    await until(lambda: _is_shared(service))


async def _is_shared(service: Service) -> bool:
    return (await service.lookup(1)).tier is Tier.L2


@pytest.mark.parametrize(
    "content",
    [b"+OK\r\n" * 50, b"\0" * 500, b">2\r\n$10\r\ninvalidate\r\n_\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["answers", "zeros", "forget-all", "web"],
)
async def test_what_nobody_asked_for(
    server: Server, proxy: Proxy, processes: Start, colour: str, content: bytes
) -> None:
    """Whatever comes unasked, no read gets the answer to another's question, and the connection is made anew."""
    service = processes(through(proxy), colour=colour, **PATIENT)

    def double(key: int) -> int:
        return 2 * key

    doubled = service.read("doubled")(double)
    await recovers(service)
    for number in range(3):
        await order(proxy.flood, content)
        for key in range(50 * number, 50 * number + 50):
            assert await service.do(doubled, key) == 2 * key
    await recovers(service)


async def test_a_server_that_hangs_up_on_everyone(processes: Start, colour: str) -> None:
    """A server that logs clients in and then closes is tried again with pauses, and no read waits for that."""
    accepted = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        while asked := await reader.read(1000):
            if b"HELLO" in asked:
                writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n")
            elif b"TRACKING" in asked:
                writer.write(b"+OK\r\n")
            else:
                if b"SUBSCRIBE" in asked:
                    writer.write(b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
                break
        writer.close()

    hanging_up = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = hanging_up.sockets[0].getsockname()[1]
    service = processes(f"redis://127.0.0.1:{port}/0", colour=colour, **PATIENT)
    began = time.monotonic()
    assert one_waited(await reads_s(service, 20))
    await until(lambda: time.monotonic() > began + 1)
    assert accepted < 50
    await service.close()
    hanging_up.close()
