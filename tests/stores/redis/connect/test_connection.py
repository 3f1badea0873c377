"""One connection under load: one write a turn, answers in order, and every way to break it."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.testing.proxy import TO_CLIENT, Proxy
from tests.stores.redis.conftest import PATIENT, QUICK, MovedClock, ask, connected, until, works

if TYPE_CHECKING:
    from cacheaside.stores.redis.connect.transport_aio import AioTransport
    from cacheaside.testing.servers import Server

SLACK_S = 1.0
"""What a busy machine may add to a deadline before a test takes the deadline for missed."""


def writes_of(transport: AioTransport) -> list[int]:
    """The sizes of the writes to come."""
    connection = transport.link().connection
    assert connection is not None
    assert connection._transport is not None
    write = connection._transport.write
    sizes: list[int] = []

    def counted(content: bytes) -> None:
        sizes.append(len(content))
        write(content)

    connection._transport.write = counted  # type: ignore[method-assign, assignment]
    return sizes


async def outcomes(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_a_turns_commands_go_out_in_one_write(server: Server) -> None:
    """A thousand reads of one turn are one write, and each gets its own answer."""
    async with connected(server.address) as transport:
        await transport.execute([("SET", f"turn:{n}", n) for n in range(1000)])
        sizes = writes_of(transport)
        answers = await asyncio.gather(*(ask(transport, "GET", f"turn:{n}") for n in range(1000)))
        assert answers == [b"%d" % n for n in range(1000)]
        assert len(sizes) == 1


async def test_replies_of_a_call_come_together(server: Server) -> None:
    """Several commands in one call give as many replies, errors and nothing-there in their places."""
    async with connected(server.address) as transport:
        commands = [
            ("SET", "together", b"\r\n\x00"),
            ("GET", "together"),
            ("LPUSH", "together", 1),
            ("GET", "no"),
        ]
        ok, value, error, nothing = await transport.execute(commands)
        assert (ok, value, nothing) == (b"OK", b"\r\n\x00", None)
        assert isinstance(error, ErrorReply)
        assert error.code == "WRONGTYPE"
        assert await transport.execute([]) == []


async def test_what_cannot_be_packed_harms_nobody(server: Server) -> None:
    """A command with a part that has no bytes is its caller's error; calls of the same turn are answered."""
    async with connected(server.address) as transport:
        wrong, right = await outcomes(
            transport.execute([("SET", "k", 1), ("SET", "k", object())]), ask(transport, "ECHO", "x")
        )
        assert isinstance(wrong, Exception)
        assert not isinstance(wrong, ConnectionAway)
        assert right == b"x"


async def test_cancelled_callers_disturb_nobody(server: Server, seed: int) -> None:
    """Whoever is cancelled, and whenever, the others get their own answers and the order stays."""
    chance = random.Random(seed)
    async with connected(server.address) as transport:
        connection = transport.link().connection
        for number in range(30):

            async def call(name: str, count: int) -> list[bytes]:
                return await transport.execute([("ECHO", f"{name}:{n}") for n in range(count)])

            sizes = [chance.randint(1, 4) for _ in range(100)]
            names = [f"{number}:{n}" for n in range(100)]
            calls = [asyncio.create_task(call(name, size)) for name, size in zip(names, sizes, strict=True)]
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            for task in calls[number % 2 :: 2]:
                task.cancel()
                if chance.random() < 0.05:
                    await asyncio.sleep(0)
            results = await outcomes(*calls)
            for name, size, result in zip(names, sizes, results, strict=True):
                if not isinstance(result, asyncio.CancelledError):
                    assert result == [f"{name}:{n}".encode() for n in range(size)]
            survivors = results[(number + 1) % 2 :: 2]
            assert not any(isinstance(result, BaseException) for result in survivors)
        assert transport.link().connection is connection
        assert connection is not None
        assert connection._unanswered == 0


async def test_a_frozen_server_fails_all_at_the_deadline(victim: Server) -> None:
    """With the server frozen, five hundred calls fail within the deadline and not before it, none hangs."""
    async with connected(victim.address, QUICK) as transport:
        await asyncio.to_thread(victim.freeze)
        start = time.monotonic()
        results = await outcomes(*(ask(transport, "GET", n) for n in range(500)))
        assert QUICK.deadline_s <= time.monotonic() - start < QUICK.deadline_s + SLACK_S
        assert {(type(result), result.reason, result.maybe_sent) for result in results} == {
            (ConnectionAway, Away.LATE, True)
        }
        await asyncio.to_thread(victim.thaw)


async def test_the_oldest_call_decides(proxy: Proxy) -> None:
    """Calls that go on being made do not put off the deadline of the one that waits."""
    async with connected(proxy.address, QUICK) as transport:
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
        start = time.monotonic()
        oldest = asyncio.create_task(ask(transport, "GET", "oldest"))
        others = []
        while not oldest.done() and time.monotonic() < start + QUICK.deadline_s + SLACK_S:
            others.append(asyncio.create_task(ask(transport, "GET", "other")))
            await asyncio.sleep(0.005)
        with pytest.raises(ConnectionAway):
            await oldest
        assert time.monotonic() - start < QUICK.deadline_s + SLACK_S
        assert all(isinstance(result, ConnectionAway) for result in await outcomes(*others))


async def test_an_answer_in_time_is_no_alarm(server: Server) -> None:
    """A connection that is asked again and again for longer than its deadline is left alone."""
    async with connected(server.address, Limits(deadline_s=0.5)) as transport:
        connection = transport.link().connection
        start = time.monotonic()
        while time.monotonic() < start + 0.7:
            assert await ask(transport, "ECHO", "x") == b"x"
            await asyncio.sleep(0.01)
        assert transport.link().connection is connection


@pytest.mark.blocks_loop
async def test_a_blocked_loop_is_not_the_servers_fault(server: Server) -> None:
    """Answers that lay unread while the loop was blocked past the deadline count as in time."""
    async with connected(server.address, Limits(deadline_s=0.3)) as transport:
        await transport.execute([("SET", "blocked", b"x" * 100_000)])
        connection = transport.link().connection
        for turns in range(3):
            calls = [asyncio.create_task(ask(transport, "GET", "blocked")) for _ in range(40)]
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.6)  # noqa: ASYNC251 - what this test is about
            assert [len(answer) for answer in await asyncio.gather(*calls)] == [100_000] * 40
        assert transport.link().connection is connection


async def test_half_open_connections_are_found(proxy: Proxy, server: Server) -> None:
    """When answers no longer arrive, a write that was carried out fails as one that may have been."""
    async with connected(proxy.address, QUICK) as transport:
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
        with pytest.raises(ConnectionAway) as raised:
            await ask(transport, "SET", "half-open", "1")
        assert (raised.value.reason, raised.value.maybe_sent) == (Away.LATE, True)
        assert await asyncio.to_thread(server.ask, "GET", "half-open") == "1"


async def break_off(proxy: Proxy, how: str) -> None:
    """End the connections behind which a command was carried out and not answered."""
    if how == "truncate":
        await asyncio.to_thread(proxy.truncate, 1)
    else:
        await asyncio.to_thread(proxy.reset)
    await asyncio.to_thread(proxy.heal if how == "reset" else proxy.release)


@pytest.mark.parametrize("how", ["reset", "truncate"])
async def test_nothing_is_sent_twice(proxy: Proxy, server: Server, how: str) -> None:
    """However a connection ends, a command under way was carried out once, and not again by the next connection."""
    await asyncio.to_thread(server.ask, "DEL", "once")

    async def carried_out() -> bool:
        return bool(await asyncio.to_thread(server.ask, "GET", "once") == "1")

    async with connected(proxy.address) as transport:
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
        call = asyncio.create_task(ask(transport, "INCR", "once"))
        await until(carried_out)
        await break_off(proxy, how)
        with pytest.raises(ConnectionAway) as raised:
            await call
        assert (raised.value.reason, raised.value.maybe_sent) == (Away.LOST, True)
        assert await ask(transport, "GET", "once") == b"1"


async def test_what_was_not_written_was_not_sent(victim: Server) -> None:
    """A call that fails before its turn ended says that nothing of it was sent; one written before cannot."""
    async with connected(victim.address) as transport:
        await asyncio.to_thread(victim.freeze)
        written = asyncio.create_task(ask(transport, "INCR", "n"))
        await asyncio.sleep(0.01)
        fresh = asyncio.create_task(ask(transport, "INCR", "n"))
        asyncio.get_running_loop().call_soon(transport.link().connection.abort)  # type: ignore[union-attr]
        first, second = await outcomes(written, fresh)
        assert (first.maybe_sent, second.maybe_sent) == (True, False)
        assert {first.reason, second.reason} == {Away.CLOSED}
        await asyncio.to_thread(victim.thaw)


async def test_a_killed_server_fails_calls_at_once(victim: Server) -> None:
    """When the server is killed with calls under way, they fail then and not at the deadline."""
    async with connected(victim.address) as transport:
        await asyncio.to_thread(victim.freeze)
        calls = [asyncio.create_task(ask(transport, "GET", n)) for n in range(50)]
        await asyncio.sleep(0.01)
        start = time.monotonic()
        await asyncio.to_thread(victim.kill)
        results = await outcomes(*calls)
        assert time.monotonic() - start < PATIENT.deadline_s / 2
        assert {(result.reason, result.maybe_sent) for result in results} == {(Away.LOST, True)}


async def test_a_truncated_answer_is_a_loss(proxy: Proxy) -> None:
    """An answer that is cut short fails its call and those behind it, and gives nobody a part of it."""
    async with connected(proxy.address) as transport:
        await ask(transport, "SET", "long", b"x" * 1000)
        await asyncio.to_thread(proxy.truncate, 1500)
        results = await outcomes(*(ask(transport, "GET", "long") for _ in range(3)))
        assert results[0] == b"x" * 1000
        assert [getattr(result, "reason", None) for result in results[1:]] == [Away.LOST, Away.LOST]


@pytest.mark.parametrize(
    "content",
    [b"nonsense\r\n", b"+an answer to nothing\r\n", b"$-17\r\n", b"%1\r\n*0\r\n+x\r\n", b"~1\r\n*0\r\n"],
)
async def test_what_is_no_answer_breaks_the_connection(
    proxy: Proxy, clock: MovedClock, content: bytes
) -> None:
    """Bytes that are not the protocol, or that answer nothing, are never taken for an answer to a later call."""
    async with connected(proxy.address, now=clock) as transport:
        connection = transport.link().connection
        assert connection is not None
        await asyncio.to_thread(proxy.flood, content)
        await until(lambda: gone(connection))
        assert connection.gone is not None
        assert connection.gone.reason is Away.GARBLED
        clock.advance(60)
        await until(lambda: works(transport))
        assert await ask(transport, "ECHO", "x") == b"x"


async def gone(connection: Any) -> bool:
    return connection.gone is not None


async def test_an_answer_has_a_largest_size(server: Server) -> None:
    """An answer beyond the limit is not collected: the connection breaks, and says which limit it was."""
    await asyncio.to_thread(server.ask, "SET", "huge", "x" * 8_000_000)
    async with connected(server.address, Limits(deadline_s=10, reply_bytes_max=1_000_000)) as transport:
        with pytest.raises(ConnectionAway, match="reply_bytes_max") as raised:
            await ask(transport, "GET", "huge")
        assert raised.value.reason is Away.GARBLED


async def test_many_large_commands_go_through(server: Server) -> None:
    """Sixty megabytes of one turn are written as fast as the server takes them, and all are answered."""
    async with connected(server.address, Limits(deadline_s=60)) as transport:
        value = b"x" * 2_000
        results = await asyncio.gather(
            *(ask(transport, "SET", f"big:{n % 10}", value) for n in range(30_000))
        )
        assert results == [b"OK"] * 30_000


async def test_commands_under_way_are_limited(victim: Server) -> None:
    """Past the limit of unanswered commands a call fails at once, unsent, and those under way are unharmed."""
    limits = Limits(deadline_s=60, unanswered_commands_max=100)
    async with connected(victim.address, limits) as transport:
        await asyncio.to_thread(victim.freeze)
        calls = [asyncio.create_task(ask(transport, "ECHO", n)) for n in range(100)]
        await asyncio.sleep(0)
        with pytest.raises(ConnectionAway, match="unanswered_commands_max") as raised:
            await ask(transport, "ECHO", "one more")
        assert (raised.value.reason, raised.value.maybe_sent) == (Away.FULL, False)
        await asyncio.to_thread(victim.thaw)
        assert await asyncio.gather(*calls) == [b"%d" % n for n in range(100)]
        assert await ask(transport, "ECHO", "again") == b"again"


async def test_unsent_bytes_are_limited(victim: Server) -> None:
    """A server that takes nothing more is not owed more than the limit, over many turns or in one."""
    limits = Limits(deadline_s=60, unsent_bytes_max=4_000_000)
    async with connected(victim.address, limits) as transport:
        await asyncio.to_thread(victim.freeze)
        calls: list[asyncio.Task[Any]] = []
        for n in range(1_000):
            calls.append(asyncio.create_task(ask(transport, "SET", n, b"x" * 100_000)))
            await asyncio.sleep(0)
            if n % 10 == 0:
                await asyncio.sleep(0)
            if any(call.done() for call in calls):
                break
        failed = [call for call in calls if call.done()]
        assert failed, "a hundred megabytes went nowhere"
        assert all(call.exception().reason is Away.FULL for call in failed)  # type: ignore[union-attr]
        await asyncio.to_thread(victim.thaw)
        results = await outcomes(*calls)
        assert results.count(b"OK") == len(calls) - len(failed)
        with pytest.raises(ConnectionAway, match="unsent_bytes_max"):
            await ask(transport, "SET", "k", b"x" * 5_000_000)


async def test_push_messages_reach_their_listener(server: Server) -> None:
    """What the server says unasked goes to the listener, between answers, and is nobody's answer."""
    heard: list[list[Any]] = []
    async with connected(server.address, on_push=heard.append) as transport:
        assert await ask(transport, "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "pushed:") == b"OK"
        for n in range(20):
            await asyncio.to_thread(server.ask, "SET", f"pushed:{n}", n)
            assert await ask(transport, "ECHO", n) == b"%d" % n
        assert heard == [[b"invalidate", [b"pushed:%d" % n]] for n in range(20)]


async def test_a_listener_that_fails_harms_nobody(server: Server) -> None:
    """An error in the listener is reported to the loop, and the answers behind the message arrive."""

    def fail(message: list[Any]) -> None:
        raise ValueError(message)

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with connected(server.address, on_push=fail) as transport:
        await ask(transport, "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "failing:")
        await asyncio.to_thread(server.ask, "SET", "failing:1", 1)
        assert await ask(transport, "ECHO", "x") == b"x"
    assert [type(context["exception"]) for context in reported] == [ValueError]


class Answered:
    """Who takes an answer on the spot."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.told = asyncio.Event()

    def done(self) -> bool:
        return False

    def set_result(self, result: list[Any], /) -> None:
        self.got.append(result)
        self.told.set()

    def set_exception(self, exception: ConnectionAway, /) -> None:
        self.got.append(exception)
        self.told.set()


async def test_what_is_sent_now_goes_out_with_what_waits(server: Server) -> None:
    """It is written at once, in one write with and after what was asked for in this turn before it; answers come in
    that order, and whoever takes one is told as it is read."""
    async with connected(server.address) as transport:
        connection = transport.link().connection
        assert connection is not None
        sizes = writes_of(transport)
        first = connection.send([("SET", "now", "1")])
        receiver = Answered()
        connection.send_now(("INCR", "now"), receiver)
        assert len(sizes) == 1
        second = connection.send([("INCR", "now")])
        await receiver.told.wait()
        assert receiver.got == [[2]]
        assert first.done()
        assert [await first, await second] == [[b"OK"], [3]]
        assert len(sizes) == 2


async def test_what_is_sent_now_has_the_same_deadline(proxy: Proxy) -> None:
    """An answer that does not come is told to the receiver, like to any caller, and may have been carried out."""
    async with connected(proxy.address, QUICK) as transport:
        connection = transport.link().connection
        assert connection is not None
        await asyncio.to_thread(proxy.black_hole, TO_CLIENT)
        receiver = Answered()
        connection.send_now(("GET", "x"), receiver)
        await receiver.told.wait()
        (away,) = receiver.got
        assert (away.reason, away.maybe_sent) == (Away.LATE, True)


async def test_what_is_sent_now_is_limited_and_refused_alike(server: Server) -> None:
    """Past the limit of commands under way, or on a connection that is gone, it raises, and the receiver hears
    nothing."""
    async with connected(server.address, Limits(deadline_s=10, unanswered_commands_max=2)) as transport:
        connection = transport.link().connection
        assert connection is not None
        first, second, third = Answered(), Answered(), Answered()
        connection.send_now(("ECHO", "1"), first)
        connection.send_now(("ECHO", "2"), second)
        with pytest.raises(ConnectionAway, match="unanswered_commands_max") as raised:
            connection.send_now(("ECHO", "3"), third)
        assert (raised.value.reason, raised.value.maybe_sent) == (Away.FULL, False)
        await second.told.wait()
        assert (first.got, second.got, third.got) == ([[b"1"]], [[b"2"]], [])
        connection.abort()
        with pytest.raises(ConnectionAway) as raised:
            connection.send_now(("ECHO", "4"), third)
        assert (raised.value.reason, raised.value.maybe_sent, third.got) == (Away.CLOSED, False, [])


async def test_one_buffer_takes_answers_of_any_size(server: Server) -> None:
    """What does not fit in what is read at once is put together, beside what does; earlier answers are not overwritten
    by later ones."""
    async with connected(server.address) as transport:
        connection = transport.link().connection
        assert connection is not None
        assert connection.get_buffer(1) is connection.get_buffer(1 << 20)
        size = len(connection.get_buffer(-1))
        values = [
            bytes([65 + n]) * length for n, length in enumerate((1, size, 7, 3 * size + 1, 0, size - 5))
        ]
        for n, value in enumerate(values):
            await ask(transport, "SET", f"sized:{n}", value)
        answers = await asyncio.gather(*(ask(transport, "GET", f"sized:{n}") for n in range(len(values))))
        kept = list(answers)
        assert (
            await asyncio.gather(*(ask(transport, "GET", f"sized:{n}") for n in range(len(values)))) == values
        )
        assert kept == values
