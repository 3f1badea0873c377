"""Calls from threads: answers, every way in which there is none, and what is then known to be sent."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
from cacheaside.testing.proxy import TO_CLIENT, Proxy
from tests.stores.redis.conftest import (
    PATIENT,
    QUICK,
    MovedClock,
    peer,
    pool_of,
    refusal,
    say,
    says,
    threads_to,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server

SLACK_S = 1.0
"""What a busy machine may add to a deadline before a test takes the deadline for missed."""


class Caller(threading.Thread):
    """One call in a thread of its own; `outcome` is its reply or what it failed with."""

    def __init__(self, transport: BlockingTransport, *words: str | bytes | int) -> None:
        super().__init__(daemon=True)
        self._call = transport, words
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = say(self._call[0], *self._call[1])
        except ConnectionAway as away:
            self.outcome = away


def test_nothing_is_connected_before_the_first_call(proxy: Proxy) -> None:
    """Making a transport connects to nothing; calls after one another share one connection."""
    with threads_to(proxy.address) as transport:
        assert proxy.accepted == 0
        assert [say(transport, "ECHO", n) for n in range(50)] == [b"%d" % n for n in range(50)]
        assert proxy.accepted == 1


def test_without_a_fleet_calls_are_refused(server: Server) -> None:
    """Before `use`, and after `close`, there is no server to ask, and no error but that."""
    transport = BlockingTransport()
    assert refusal(transport, "PING").reason is Away.REFUSED
    transport.use(Fleet((ServerAddress(*server.address),)))
    assert says(transport)
    transport.close()
    assert refusal(transport, "PING").reason is Away.REFUSED


def test_replies_of_a_call_come_together(server: Server) -> None:
    """Several commands in one call give as many replies, errors and nothing-there in their places."""
    with threads_to(server.address) as transport:
        commands = [
            ("SET", "together", b"\r\n\x00"),
            ("GET", "together"),
            ("LPUSH", "together", 1),
            ("GET", "no"),
        ]
        ok, value, error, nothing = run_blocking(transport.execute(commands))
        assert (ok, value, nothing) == (b"OK", b"\r\n\x00", None)
        assert isinstance(error, ErrorReply)
        assert error.code == "WRONGTYPE"
        assert run_blocking(transport.execute([])) == []


def test_what_cannot_be_packed_harms_nobody(server: Server) -> None:
    """A command with a part that has no bytes is its caller's error, and nothing of it is sent."""
    with threads_to(server.address) as transport:
        identity = say(transport, "CLIENT", "ID")
        with pytest.raises(TypeError):
            run_blocking(transport.execute([("SET", "unpacked", 1), ("SET", "k", object())]))  # type: ignore[list-item]
        assert say(transport, "GET", "unpacked") is None
        assert say(transport, "CLIENT", "ID") == identity


def test_many_threads_take_turns(server: Server, proxy: Proxy) -> None:
    """Sixteen threads over four connections each get their own answers, and no fifth connection is made."""
    with threads_to(proxy.address, connections_max=4) as transport:
        found: dict[int, list[bytes]] = {}

        def work(number: int) -> None:
            found[number] = [say(transport, "ECHO", f"{number}:{n}") for n in range(100)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == {number: [b"%d:%d" % (number, n) for n in range(100)] for number in range(16)}
        assert proxy.accepted <= 4


def test_past_the_limit_of_connections_calls_wait_for_their_turn(server: Server) -> None:
    """With all connections in use a call waits no longer than its deadline, unsent; one given back serves it."""
    limits = Limits(deadline_s=0.1, connect_s=10)
    with threads_to(server.address, limits, connections_max=1) as transport:
        wait_for(lambda: says(transport))
        pool = pool_of(transport)
        connection = pool._idle.pop()
        start = time.monotonic()
        away = refusal(transport, "PING")
        assert limits.deadline_s <= time.monotonic() - start < limits.deadline_s + SLACK_S
        assert (away.reason, away.maybe_sent) == (Away.FULL, False)
        assert "connections_max=1" in str(away)
        transport.limits = PATIENT
        waiting = Caller(transport, "ECHO", "x")
        wait_for(lambda: pool._waiting)
        pool.give_back(connection)
        waiting.join(20)
        assert waiting.outcome == b"x"


def test_a_frozen_server_costs_one_deadline(victim: Server, clock: MovedClock) -> None:
    """The first call is late at its deadline, later ones fail at once; when it is thawed they work by themselves."""
    with threads_to(victim.address, PATIENT, now=clock) as transport:
        assert says(transport)
        pool_of(transport)._limits = transport.limits = QUICK
        pool_of(transport)._standing._limits = QUICK
        victim.freeze()
        start = time.monotonic()
        away = refusal(transport, "INCR", "n")
        assert QUICK.deadline_s <= time.monotonic() - start < QUICK.deadline_s + SLACK_S
        assert (away.reason, away.maybe_sent) == (Away.LATE, True)
        start = time.monotonic()
        for _ in range(200):
            assert refusal(transport, "PING").reason is Away.BACKING_OFF
        assert time.monotonic() - start < 200 * 0.005
        victim.thaw()
        pool_of(transport)._limits = transport.limits = PATIENT
        clock.advance(60)
        assert refusal(transport, "PING").reason is Away.BACKING_OFF
        wait_for(lambda: says(transport))
        assert say(transport, "GET", "n") in (None, b"1")  # late, and never twice


def test_half_open_connections_are_found(server: Server, proxy: Proxy) -> None:
    """When answers no longer arrive, a write that was carried out fails as one that may have been, done once."""
    server.ask("DEL", "half-open")
    limits = Limits(deadline_s=0.3, connect_s=10, backoff_s=0.001, backoff_max_s=0.01)
    with threads_to(proxy.address, limits) as transport:
        wait_for(lambda: says(transport))
        proxy.black_hole(TO_CLIENT)
        away = refusal(transport, "INCR", "half-open")
        assert (away.reason, away.maybe_sent) == (Away.LATE, True)
        proxy.heal()
        wait_for(lambda: says(transport))
        assert server.ask("GET", "half-open") == "1"


def test_a_restarted_server_is_found_again(victim: Server) -> None:
    """After a kill and a restart the next call makes a new connection, whatever lay idle, without pause or help."""
    with threads_to(victim.address) as transport:
        callers = [Caller(transport, "BLPOP", f"queue:{n}", 0) for n in range(3)]
        wait_for(lambda: "blocked_clients:3" in victim.ask("INFO", "clients"))
        for n in range(3):
            victim.ask("LPUSH", f"queue:{n}", n)
        for caller in callers:
            caller.join(20)
        assert len(pool_of(transport)._idle) == 3
        victim.restart(kill=True)
        assert say(transport, "GET", "k") is None


def test_a_killed_server_fails_calls_at_once(victim: Server) -> None:
    """When the server is killed with calls under way, they fail then and not at the deadline."""
    with threads_to(victim.address) as transport:
        callers = [Caller(transport, "BLPOP", "queue", 0) for _ in range(3)]
        wait_for(lambda: "blocked_clients:3" in victim.ask("INFO", "clients"))
        start = time.monotonic()
        victim.kill()
        for caller in callers:
            caller.join(20)
        assert time.monotonic() - start < PATIENT.deadline_s / 2
        assert {(caller.outcome.reason, caller.outcome.maybe_sent) for caller in callers} == {
            (Away.LOST, True)
        }


def test_a_truncated_answer_is_a_loss(proxy: Proxy) -> None:
    """An answer that is cut short fails its call, gives nobody a part of it, and the next call is answered."""
    with threads_to(proxy.address) as transport:
        say(transport, "SET", "long", b"x" * 1000)
        proxy.truncate(500)
        away = refusal(transport, "GET", "long")
        assert (away.reason, away.maybe_sent) == (Away.LOST, True)
        assert say(transport, "GET", "long") == b"x" * 1000


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense\r\n",
        b"+an answer to nothing\r\n",
        b"$-17\r\n",
        b"$5\r\nhal",
        b"%1\r\n*0\r\n+x\r\n",
        b"~1\r\n*0\r\n",
    ],
)
def test_what_comes_unasked_breaks_the_connection(proxy: Proxy, clock: MovedClock, content: bytes) -> None:
    """Bytes that came between two calls are never taken for the answer to the second, which is not sent."""
    with threads_to(proxy.address, now=clock) as transport:
        assert says(transport)
        proxy.flood(content)
        wait_for(lambda: _readable(transport))
        away = refusal(transport, "ECHO", "x")
        assert (away.reason, away.maybe_sent) == (Away.GARBLED, False)
        clock.advance(60)
        wait_for(lambda: says(transport))
        assert say(transport, "ECHO", "x") == b"x"


def _readable(transport: BlockingTransport) -> bool:
    from cacheaside.stores.redis.connect.deadline import has_more

    (connection,) = pool_of(transport)._idle
    return has_more(connection._held())


@pytest.mark.parametrize("more", [b"+two\r\n", b"+tw", b"nonsense\r\n"])
def test_more_than_was_asked_for_is_no_answer(more: bytes) -> None:
    """Where more comes than one answer, none of it is believed: which is whose cannot be told."""
    with peer(lambda _: b"+one\r\n" + more) as address, threads_to(address) as transport:
        assert refusal(transport, "GET", "k").reason is Away.GARBLED


def test_push_messages_are_nobodys_answer() -> None:
    """What a server says unasked, in the form made for that, is left aside."""
    push = b">2\r\n+invalidate\r\n*1\r\n+k\r\n"
    with peer(lambda _: push + b"+one\r\n" + push) as address, threads_to(address) as transport:
        assert [say(transport, "GET", "k") for _ in range(3)] == [b"one"] * 3


def test_an_answer_without_end_keeps_nobody() -> None:
    """A peer that goes on sending past the deadline, and never ends its answer, is late all the same."""
    halt = threading.Event()

    def drip(_: list[bytes]) -> bytes:
        halt.wait(0.01)
        return b"$1000000\r\n" + b"x" * 1000

    limits = Limits(deadline_s=0.2, connect_s=10)
    with peer(drip) as address, threads_to(address, limits) as transport:
        start = time.monotonic()
        with pytest.raises(ConnectionAway) as raised:
            run_blocking(transport.execute([("GET", "k")] * 500))
        assert raised.value.reason is Away.LATE
        assert time.monotonic() - start < limits.deadline_s + SLACK_S
        halt.set()


def test_an_answer_has_a_largest_size(server: Server) -> None:
    """An answer beyond the limit is not collected: the connection breaks, and says which limit it was."""
    server.ask("SET", "huge", "x" * 8_000_000)
    limits = Limits(deadline_s=10, reply_bytes_max=1_000_000)
    with threads_to(server.address, limits) as transport:
        away = refusal(transport, "GET", "huge")
        assert away.reason is Away.GARBLED
        assert "reply_bytes_max" in str(away)


def test_what_is_sent_together_is_limited(server: Server) -> None:
    """Past the limits a call fails at once, unsent; below them, megabytes go out and come back."""
    limits = Limits(deadline_s=60, unanswered_commands_max=1000, unsent_bytes_max=20_000_000)
    with threads_to(server.address, limits) as transport:
        big = b"x" * 10_000_000
        assert run_blocking(transport.execute([("SET", "big", big), ("GET", "big")])) == [b"OK", big]
        for commands in ([("SET", "big", big)] * 2, [("PING",)] * 1001):
            with pytest.raises(ConnectionAway, match="_max=") as raised:
                run_blocking(transport.execute(commands))  # type: ignore[arg-type]
            assert (raised.value.reason, raised.value.maybe_sent) == (Away.FULL, False)


def test_nothing_of_an_answer_is_kept(server: Server) -> None:
    """An idle connection holds no reply: a large one would stay for as long as nobody calls."""
    with threads_to(server.address) as transport:
        say(transport, "ECHO", "x" * 100_000)
        (connection,) = pool_of(transport)._idle
        assert connection._replies == []


def test_nobody_gets_anothers_answer(proxy: Proxy, seed: int) -> None:
    """Whatever the network does, and whenever, a call gets its own answers or none."""
    chance = random.Random(seed)
    limits = Limits(deadline_s=0.02, connect_s=1, backoff_s=0.001, backoff_max_s=0.002)
    answered, over = [0] * 6, threading.Event()
    wrong: list[Any] = []

    def work(number: int) -> None:
        for n in itertools.count():
            if over.is_set():
                return
            names = [f"{number}:{n}:{k}".encode() for k in range(1 + n % 3)]
            try:
                replies = run_blocking(transport.execute([("ECHO", name) for name in names]))
            except ConnectionAway:
                continue
            answered[number] += 1
            if replies != names:
                wrong.append((names, replies))

    with threads_to(proxy.address, limits, connections_max=4) as transport:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(answered))]
        for thread in threads:
            thread.start()
        faults = [
            lambda: proxy.delay(chance.choice([0.005, 0.015, 0.03]), TO_CLIENT),
            proxy.reset,
            lambda: proxy.truncate(chance.randint(1, 2000)),
            lambda: proxy.black_hole(TO_CLIENT),
        ]
        for _ in range(40):
            chance.choice(faults)()
            over.wait(0.01)
            proxy.heal()
            over.wait(0.01)
        wait_for(lambda: all(answered))
        over.set()
        for thread in threads:
            thread.join(20)
        wait_for(lambda: says(transport))  # so every connection before was accepted, and none is left to be
    wait_for(lambda: not proxy.connections)
    assert wrong == []


class Interrupted(Exception):
    pass


@pytest.fixture
def interrupting() -> Iterator[signal.Signals]:
    """A signal that raises in the main thread."""

    def fail(*_: object) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGUSR1, fail)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, previous)


def test_an_interrupted_call_leaves_its_answer_to_nobody(
    server: Server, interrupting: signal.Signals
) -> None:
    """Whoever is interrupted while waiting takes the connection along; the next call gets its own answer."""
    main = threading.get_ident()

    def interrupt() -> None:
        wait_for(lambda: "blocked_clients:1" in server.ask("INFO", "clients"))
        signal.pthread_kill(main, interrupting)

    with threads_to(server.address) as transport:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(Interrupted):
            say(transport, "BLPOP", "interrupted", 0)
        thread.join()
        server.ask("LPUSH", "interrupted", "for nobody")
        assert say(transport, "ECHO", "x") == b"x"
        assert len(pool_of(transport)._all) == 1


def test_closing_ends_calls_under_way(server: Server) -> None:
    """Closing returns at once, and calls that wait for an answer are told that this side closed."""
    with threads_to(server.address) as transport:
        caller = Caller(transport, "BLPOP", "closed", 0)
        wait_for(lambda: "blocked_clients:1" in server.ask("INFO", "clients"))
        start = time.monotonic()
        transport.close()
        caller.join(20)
        assert time.monotonic() - start < PATIENT.deadline_s / 2
        assert (caller.outcome.reason, caller.outcome.maybe_sent) == (Away.CLOSED, True)
        wait_for(lambda: "blocked_clients:0" in server.ask("INFO", "clients"))


def test_a_server_that_is_no_primary_any_more_is_given_up(server: Server, victim: Server) -> None:
    """`use` closes the connections to servers that are gone, calls under way included, and keeps the others."""
    first, second = ServerAddress(*victim.address), ServerAddress(*server.address)
    with threads_to(first) as transport:
        caller = Caller(transport, "BLPOP", "moved", 0)
        wait_for(lambda: "blocked_clients:1" in victim.ask("INFO", "clients"))
        transport.use(Fleet((second,)))
        caller.join(20)
        assert caller.outcome.reason is Away.CLOSED
        identity = say(transport, "CLIENT", "ID")
        transport.use(Fleet((second,)))
        assert say(transport, "CLIENT", "ID") == identity
        assert list(transport._pools) == [second]
