"""Making connections, and making them again: when, for whom, and how long anybody waits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.testing.proxy import Proxy
from tests.stores.redis.conftest import PATIENT, QUICK, MovedClock, ask, connected, until, works

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server

SLACK_S = 1.0


async def away(call: Any) -> ConnectionAway:
    """What the call fails with."""
    with pytest.raises(ConnectionAway) as raised:
        await call
    return raised.value


async def until_settled(transport: AioTransport) -> None:
    """Return once no attempt is under way: it may outlive the patience of the caller that began it."""
    if (attempt := transport.link()._attempt) is not None:
        await asyncio.wait([attempt])


async def test_nothing_is_connected_before_the_first_call(server: Server, proxy: Proxy) -> None:
    """Making a transport connects to nothing; the callers of the first turn share one connection."""
    transport = AioTransport(ServerAddress(*proxy.address), limits=PATIENT)
    assert proxy.accepted == 0
    assert await asyncio.gather(*(ask(transport, "ECHO", n) for n in range(50))) == [
        b"%d" % n for n in range(50)
    ]
    assert proxy.accepted == 1
    await transport.aclose()


async def test_a_refused_connection_fails_at_once(victim: Server, clock: MovedClock) -> None:
    """Where nobody listens calls fail long before the deadline, unsent; later ones do not even try."""
    await asyncio.to_thread(victim.kill)
    transport = AioTransport(ServerAddress(*victim.address), limits=PATIENT, now=clock)
    start = time.monotonic()
    first = await away(ask(transport, "PING"))
    second = await away(ask(transport, "PING"))
    assert time.monotonic() - start < PATIENT.deadline_s / 2
    assert (first.reason, first.maybe_sent) == (Away.REFUSED, False)
    assert (second.reason, second.maybe_sent) == (Away.BACKING_OFF, False)
    assert "Connect call failed" in str(second)  # what to look at, in the later messages as well
    await transport.aclose()


async def test_a_restarted_server_is_found_again(victim: Server) -> None:
    """After a kill and a restart the next call makes a new connection, without a pause and without help."""
    async with connected(victim.address) as transport:
        await ask(transport, "SET", "k", "v")
        await asyncio.to_thread(victim.restart, kill=True)
        await asyncio.sleep(0)
        assert await ask(transport, "GET", "k") is None


async def test_a_frozen_server_is_left_alone_and_found_again(victim: Server, clock: MovedClock) -> None:
    """After one missed deadline calls fail at once; when the pause is over and the server is back, they work."""
    async with connected(victim.address, QUICK, now=clock) as transport:
        await asyncio.to_thread(victim.freeze)
        assert (await away(ask(transport, "PING"))).reason is Away.LATE
        start = time.monotonic()
        for _ in range(100):
            assert (await away(ask(transport, "PING"))).reason is Away.BACKING_OFF
        assert time.monotonic() - start < SLACK_S
        await asyncio.to_thread(victim.thaw)
        transport.link()._limits = PATIENT
        clock.advance(60)
        assert (await away(ask(transport, "PING"))).reason is Away.BACKING_OFF
        await until_settled(transport)
        assert await ask(transport, "PING") == b"PONG"


async def fails_behind(transport: AioTransport, calls: int = 20) -> None:
    """Calls begin an attempt, fail while it is under way, and it fails too."""
    failures = await asyncio.gather(*(away(ask(transport, "PING")) for _ in range(calls)))
    assert {(failure.reason, failure.maybe_sent) for failure in failures} == {(Away.BACKING_OFF, False)}
    assert transport.link()._attempt is not None, "a call waited for the attempt, or none was begun"
    await until_settled(transport)
    assert transport.link().connection is None


async def test_no_caller_waits_for_a_server_that_failed(victim: Server, clock: MovedClock) -> None:
    """After a failure an attempt is made behind the callers, one after each pause, and every caller fails at once."""
    async with connected(victim.address, QUICK, now=clock) as transport:
        await asyncio.to_thread(victim.freeze)
        assert (await away(ask(transport, "PING"))).reason is Away.LATE
        for _ in range(3):
            clock.advance(120)
            await fails_behind(transport)
        await asyncio.to_thread(victim.thaw)


async def test_a_server_slower_than_the_deadline_stays_away(proxy: Proxy, clock: MovedClock) -> None:
    """One that answers, always too late, costs one caller the deadline; when it is quick again it is found again."""
    async with connected(proxy.address, QUICK, now=clock) as transport:
        await asyncio.to_thread(proxy.delay, QUICK.deadline_s)
        assert (await away(ask(transport, "PING"))).reason is Away.LATE
        for _ in range(3):
            clock.advance(120)
            await fails_behind(transport)
        await asyncio.to_thread(proxy.heal)
        transport.link()._limits = PATIENT
        clock.advance(120)
        await until(lambda: works(transport))


async def test_a_login_alone_is_no_success(clock: MovedClock) -> None:
    """A server that takes the login and answers no command is not connected to."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(1000):
            if b"HELLO" in heard:
                writer.write(b"%0\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as mute:
        transport = AioTransport(ServerAddress(*mute.sockets[0].getsockname()), limits=QUICK, now=clock)
        assert (await away(ask(transport, "PING"))).reason is Away.LATE
        await until_settled(transport)
        clock.advance(120)
        await fails_behind(transport)
        await transport.aclose()


async def test_pauses_grow_and_end(victim: Server, clock: MovedClock) -> None:
    """Each failure in a row doubles the pause, and chance takes nothing off where it says zero."""
    limits = Limits(deadline_s=5.0, backoff_s=1.0, backoff_max_s=4.0)
    await asyncio.to_thread(victim.kill)
    transport = AioTransport(ServerAddress(*victim.address), limits=limits, now=clock, chance=lambda: 0.0)
    assert (await away(ask(transport, "PING"))).reason is Away.REFUSED
    for pause_s in (1.0, 2.0, 4.0, 4.0):
        clock.advance(pause_s - 0.5)
        assert (await away(ask(transport, "PING"))).reason is Away.BACKING_OFF
        assert transport.link()._attempt is None
        clock.advance(0.5)
        await fails_behind(transport)
    await transport.aclose()


async def test_a_silent_network_costs_one_deadline(proxy: Proxy) -> None:
    """A peer that accepts and says nothing costs the first caller its deadline and no more."""
    await asyncio.to_thread(proxy.black_hole)
    transport = AioTransport(ServerAddress(*proxy.address), limits=QUICK)
    start = time.monotonic()
    assert (await away(ask(transport, "PING"))).reason is Away.LATE
    assert time.monotonic() - start < QUICK.deadline_s + SLACK_S
    assert (await away(ask(transport, "PING"))).reason is Away.BACKING_OFF
    assert time.monotonic() - start < QUICK.deadline_s + SLACK_S
    await transport.aclose()


async def test_a_slow_connection_is_made_behind(proxy: Proxy) -> None:
    """Where logging in takes longer than a caller may wait, the caller fails in time and a later one succeeds."""
    await asyncio.to_thread(proxy.delay, 0.03)
    limits = Limits(deadline_s=0.09, connect_s=10, backoff_s=0.001, backoff_max_s=0.001)
    transport = AioTransport(ServerAddress(*proxy.address), limits=limits)
    transport.link()._login = type(transport._login)(
        database=1
    )  # two round trips of 60 ms, each within the deadline
    first = await away(ask(transport, "PING"))
    assert (first.reason, first.maybe_sent) == (Away.LATE, False)
    await until_settled(transport)
    await asyncio.to_thread(proxy.heal)
    transport.link()._limits = PATIENT
    await until(lambda: works(transport))
    await transport.aclose()


async def test_a_cancelled_first_caller_takes_nobody_along(proxy: Proxy) -> None:
    """The caller that began the connection is cancelled; those who joined it get their answers."""
    await asyncio.to_thread(proxy.black_hole)
    transport = AioTransport(ServerAddress(*proxy.address), limits=PATIENT)
    first, *others = [asyncio.create_task(ask(transport, "ECHO", n)) for n in range(5)]
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.sleep(0)
    await asyncio.to_thread(proxy.heal)
    assert await asyncio.gather(*others) == [b"%d" % n for n in range(1, 5)]
    assert first.cancelled()
    assert proxy.accepted == 1
    await transport.aclose()


@pytest.mark.parametrize("when", ["before", "connecting", "connected"])
async def test_closing_never_waits(proxy: Proxy, when: str) -> None:
    """Closing returns at once in every state, with the network silent; callers that wait are told."""
    transport = AioTransport(ServerAddress(*proxy.address), limits=PATIENT)
    if when == "connected":
        await ask(transport, "PING")
    await asyncio.to_thread(proxy.black_hole)
    calls = [asyncio.create_task(away(ask(transport, "PING")))] if when == "connected" else []
    if when == "connecting":
        calls = [asyncio.create_task(asyncio.wait_for(ask(transport, "PING"), 60))]
    await asyncio.sleep(0.02)
    start = time.monotonic()
    await transport.aclose()
    await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - start < PATIENT.deadline_s / 2
    assert all(call.done() for call in calls)
