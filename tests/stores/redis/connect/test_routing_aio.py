"""Several primaries from loops: what is sent to whom, what is given up, and what nobody else notices.

Three single servers stand for the primaries here: what a cluster adds is tested with one, in `topology`.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.routing_aio import AioFleet
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.wire.names import SLOTS
from cacheaside.testing.proxy import TO_CLIENT, Proxy
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import PATIENT, MovedClock, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAMES = [f"k{n}" for n in range(60)]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    started = [Server().start() for _ in range(3)]
    yield started
    for server in started:
        server.close()


@pytest.fixture
def proxies(servers: list[Server]) -> Iterator[list[Proxy]]:
    for server in servers:
        server.ask("FLUSHALL")
    started = [Proxy(server.address).start() for server in servers]
    yield started
    for proxy in started:
        proxy.close()


def thirds(proxies: list[Proxy]) -> Fleet:
    """Each server has a third of the slots."""
    owners = array("H", [slot * len(proxies) // SLOTS for slot in range(SLOTS)])
    return Fleet(tuple(ServerAddress(*proxy.address) for proxy in proxies), owners)


@pytest.fixture
async def fleet(proxies: list[Proxy]) -> AsyncIterator[AioFleet]:
    transport = AioFleet(limits=PATIENT)
    transport.use(thirds(proxies))
    yield transport
    await transport.aclose()


async def failure(call: Any) -> ConnectionAway:
    with pytest.raises(ConnectionAway) as raised:
        await call
    return raised.value


def commands(word: str, *more: str | int) -> list[tuple[str | int, ...]]:
    return [(word, name, *more) for name in NAMES]


async def test_every_server_gets_its_part(fleet: AioFleet, servers: list[Server]) -> None:
    """Commands for several servers are carried out each by its own, and answered in their order."""
    stored = await fleet.execute([("SET", name, name) for name in NAMES])
    assert stored == [b"OK"] * len(NAMES)
    sizes = [await asyncio.to_thread(server.ask, "DBSIZE") for server in servers]
    assert sum(sizes) == len(NAMES)
    assert min(sizes) > 0
    assert await fleet.execute(commands("GET")) == [name.encode() for name in NAMES]
    assert await fleet.execute([]) == []


async def test_all_parts_are_under_way_at_once(fleet: AioFleet, proxies: list[Proxy]) -> None:
    """The servers are asked together: a call over three takes one round trip, whoever answers first."""
    await fleet.execute(commands("SET", 1))
    for proxy in proxies:
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
    sent = [proxy.passed["to server"] for proxy in proxies]
    call = asyncio.create_task(fleet.execute(commands("INCR")))

    async def all_received() -> bool:
        return all(proxy.passed["to server"] > before for proxy, before in zip(proxies, sent, strict=True))

    await until(all_received)
    for proxy in reversed(proxies):
        assert not call.done()
        await asyncio.to_thread(proxy.heal)
    assert await call == [2] * len(NAMES)


async def test_one_primary_costs_nothing_more(server: Server) -> None:
    """Where one primary holds everything a call is its transport's own, with nothing in between."""
    fleet = AioFleet(limits=PATIENT)
    assert (await failure(fleet.execute([("PING",)]))).reason is Away.REFUSED
    fleet.use(Fleet((ServerAddress(*server.address),)))
    (transport,) = fleet._transports.values()
    assert fleet.execute == transport.execute
    assert await fleet.execute([("PING",)]) == [b"PONG"]
    await fleet.aclose()


async def test_from_one_to_several_and_back(server: Server, proxies: list[Proxy]) -> None:
    """`use` takes effect for the next call, whatever the fleet was before."""
    single = Fleet((ServerAddress(*server.address),))
    fleet = AioFleet(limits=PATIENT)
    for _ in range(2):
        fleet.use(single)
        assert await fleet.execute([("ECHO", "k1"), ("ECHO", "k2")]) == [b"k1", b"k2"]
        fleet.use(thirds(proxies))
        assert await fleet.execute(commands("ECHO")) == [name.encode() for name in NAMES]
    await fleet.aclose()


async def test_a_server_known_to_be_away_has_nothing_sent_to_the_others(
    proxies: list[Proxy], clock: MovedClock, servers: list[Server]
) -> None:
    """While one server is left alone, a call that concerns it fails at once, and nothing of it is carried out."""
    fleet = AioFleet(limits=PATIENT, now=clock)
    fleet.use(thirds(proxies))
    await fleet.execute(commands("SET", 1))
    await asyncio.to_thread(proxies[1].refuse)
    await asyncio.to_thread(proxies[1].reset)
    link = fleet._transports[thirds(proxies).primaries[1]].link()
    await until(lambda: asyncio.sleep(0, link.connection is None))
    assert (await failure(fleet.execute(commands("INCR")))).reason is Away.REFUSED
    before = await asyncio.to_thread(servers[0].ask, "GET", "k1")
    away = await failure(fleet.execute(commands("INCR")))
    assert (away.reason, away.maybe_sent) == (Away.BACKING_OFF, False)
    assert await asyncio.to_thread(servers[0].ask, "GET", "k1") == before
    others = [name for name in NAMES if thirds(proxies).place_of(name) != 1]
    assert await fleet.execute([("EXISTS", name) for name in others]) == [1] * len(others)
    await fleet.aclose()


async def test_a_part_without_an_answer_fails_the_call(fleet: AioFleet, proxies: list[Proxy]) -> None:
    """When one server is lost under way the call fails, as one that may have taken effect, and nothing lingers."""
    await fleet.execute(commands("SET", 1))
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    await asyncio.to_thread(proxies[0].black_hole, TO_CLIENT)
    call = asyncio.create_task(fleet.execute(commands("INCR")))
    await asyncio.sleep(0)
    for proxy in (proxies[2], proxies[0]):
        await asyncio.to_thread(proxy.reset)
    away = await failure(call)
    assert (away.reason, away.maybe_sent) == (Away.LOST, True)
    del call, away
    gc.collect()
    assert reported == []


async def test_a_cancelled_call_disturbs_nobody(fleet: AioFleet, proxies: list[Proxy]) -> None:
    """A call over several servers that is cancelled leaves its places in their orders; the next get their answers."""
    await fleet.execute(commands("SET", 1))
    for proxy in proxies:
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
    call = asyncio.create_task(fleet.execute(commands("INCR")))
    behind = asyncio.create_task(fleet.execute(commands("ECHO")))
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.sleep(0)
    for proxy in proxies:
        await asyncio.to_thread(proxy.heal)
    assert await behind == [name.encode() for name in NAMES]
    assert call.cancelled()


async def test_connecting_is_part_of_the_deadline(proxies: list[Proxy]) -> None:
    """A first call over several servers, one of them silent, fails at its deadline; the others are connected to."""
    fleet = AioFleet(limits=Limits(deadline_s=0.2, connect_s=10))
    fleet.use(thirds(proxies))
    await asyncio.to_thread(proxies[2].black_hole)
    away = await failure(fleet.execute(commands("GET")))
    assert (away.reason, away.maybe_sent) == (Away.LATE, False)
    assert away.endpoint == str(fleet._route[0].primaries[2])  # type: ignore[index]
    assert (await failure(fleet.execute(commands("GET")))).reason is Away.BACKING_OFF
    await fleet.aclose()


async def test_calls_to_servers_that_are_gone_fail(server: Server, victim: Server) -> None:
    """After `use` a call under way to a server of before fails, on its loop; later ones reach the new server."""
    fleet = AioFleet(limits=PATIENT)
    fleet.use(Fleet((ServerAddress(*victim.address),)))
    under_way = asyncio.create_task(fleet.execute([("BLPOP", "never", 0)]))
    execute_before = fleet.execute
    await until(lambda: asyncio.to_thread(lambda: "blocked_clients:1" in victim.ask("INFO", "clients")))
    await asyncio.to_thread(fleet.use, Fleet((ServerAddress(*server.address),)))
    assert (await failure(under_way)).reason is Away.CLOSED
    assert (await failure(execute_before([("PING",)]))).reason is Away.CLOSED
    assert await fleet.execute([("CONFIG", "GET", "port")]) == [{b"port": b"%d" % server.port}]
    await fleet.aclose()


async def test_a_first_call_that_still_connects_is_told_too(proxies: list[Proxy], server: Server) -> None:
    """A call that waits for its connection when the server is given up fails like others, and is not cancelled."""
    await asyncio.to_thread(proxies[0].black_hole)
    fleet = AioFleet(limits=PATIENT)
    fleet.use(Fleet((ServerAddress(*proxies[0].address),)))
    under_way = asyncio.create_task(fleet.execute([("PING",)]))
    await until(lambda: asyncio.sleep(0, proxies[0].accepted == 1))
    fleet.use(Fleet((ServerAddress(*server.address),)))
    assert (await failure(under_way)).reason is Away.CLOSED
    await fleet.aclose()


def test_every_loop_gives_up_its_own(server: Server, victim: Server) -> None:
    """`use` from one thread closes the connections of all loops, each on its own, one that is closed included."""
    fleet = AioFleet(limits=PATIENT)
    fleet.use(Fleet((ServerAddress(*victim.address),)))
    with asyncio.Runner() as ended:
        ended.run(fleet.execute([("PING",)]))
        ended.run(fleet.aclose())
        (transport,) = fleet._transports.values()
        ended.run(_link(transport))
    told: list[Away] = []

    async def wait_on() -> None:
        told.append((await failure(fleet.execute([("BLPOP", "never", 0)]))).reason)
        assert await fleet.execute([("PING",)]) == [b"PONG"]
        await fleet.aclose()

    threads = [threading.Thread(target=lambda: asyncio.run(wait_on())) for _ in range(2)]
    for thread in threads:
        thread.start()
    asyncio.run(
        until(lambda: asyncio.to_thread(lambda: "blocked_clients:2" in victim.ask("INFO", "clients")))
    )
    fleet.use(Fleet((ServerAddress(*server.address),)))
    for thread in threads:
        thread.join(20)
    assert told == [Away.CLOSED] * 2
    assert "connected_clients:1" in victim.ask("INFO", "clients")  # the one that asks


async def _link(transport: Any) -> None:
    transport.link()
