"""Making connections for threads, and making them again: when, for whom, and how long anybody waits."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection, Target
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.testing.proxy import Proxy
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
    from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
    from cacheaside.testing.servers import Server

SLACK_S = 1.0


def be_quick(transport: BlockingTransport) -> None:
    """From now on the limits are `QUICK`."""
    pool = pool_of(transport)
    transport.limits = pool._limits = pool._standing._limits = QUICK


def be_patient(transport: BlockingTransport) -> None:
    transport.limits = pool_of(transport)._limits = PATIENT


def until_settled(transport: BlockingTransport) -> None:
    """Return once no attempt is under way."""
    wait_for(lambda: not pool_of(transport)._is_trying)


def fails_behind(transport: BlockingTransport, calls: int = 20) -> None:
    """Calls from many threads begin an attempt, fail without waiting for it, and it fails too."""
    failures_before = pool_of(transport)._standing.failures
    with ThreadPoolExecutor(calls) as threads:
        told = [threads.submit(_told, transport) for _ in range(calls)]
    assert {one.result() for one in told} == {(Away.BACKING_OFF, False)}
    until_settled(transport)
    assert pool_of(transport)._standing.failures == failures_before + 1, "one attempt, and it failed"


def _told(transport: BlockingTransport) -> tuple[Away, bool]:
    away = refusal(transport, "PING")
    return away.reason, away.maybe_sent


def test_a_refused_connection_fails_at_once(victim: Server, clock: MovedClock) -> None:
    """Where nobody listens calls fail long before the deadline, unsent; later ones do not even try."""
    victim.kill()
    with threads_to(victim.address, PATIENT, now=clock) as transport:
        start = time.monotonic()
        first, second = refusal(transport, "PING"), refusal(transport, "PING")
        assert time.monotonic() - start < PATIENT.deadline_s / 2
        assert (first.reason, first.maybe_sent) == (Away.REFUSED, False)
        assert (second.reason, second.maybe_sent) == (Away.BACKING_OFF, False)
        assert "Connection refused" in str(second)  # what to look at, in the later messages as well


def test_no_caller_waits_for_a_server_that_failed(victim: Server, clock: MovedClock) -> None:
    """After a failure an attempt is made behind the callers, one after each pause, and every caller fails at once."""
    with threads_to(victim.address, PATIENT, now=clock) as transport:
        assert says(transport)
        be_quick(transport)
        victim.freeze()
        assert refusal(transport, "PING").reason is Away.LATE
        for _ in range(3):
            clock.advance(120)
            fails_behind(transport)
        victim.thaw()


def test_many_calls_that_are_late_together_are_one_failure(victim: Server, clock: MovedClock) -> None:
    """Calls under way when a server falls silent count as one failure, so that the pause begins short."""
    with threads_to(victim.address, PATIENT, now=clock) as transport, ThreadPoolExecutor(8) as threads:
        for answered in [threads.submit(say, transport, "PING") for _ in range(8)]:
            answered.result()
        be_quick(transport)
        together = threading.Barrier(8)

        def call() -> Away:
            together.wait(20)
            return refusal(transport, "PING").reason

        victim.freeze()
        reasons = {late.result() for late in [threads.submit(call) for _ in range(8)]}
        assert reasons <= {Away.LATE, Away.BACKING_OFF}
        assert pool_of(transport)._standing.failures == 1
        victim.thaw()


def test_a_failure_closes_what_lies_idle(victim: Server, clock: MovedClock) -> None:
    """When a server falls silent its idle connections are closed: none is used after the failure."""
    with threads_to(victim.address, PATIENT, now=clock) as transport:
        pool = pool_of(transport)
        for connection in [pool.take(Deadline.after(10, time.monotonic)) for _ in range(3)]:
            pool.give_back(connection)
        assert len(pool._idle) == 3
        be_quick(transport)
        victim.freeze()
        assert refusal(transport, "PING").reason is Away.LATE
        assert not pool._all
        assert not pool._idle
        victim.thaw()


def test_a_server_slower_than_the_deadline_stays_away(proxy: Proxy, clock: MovedClock) -> None:
    """One that answers, always too late, costs callers the deadline once; quick again, it is found again."""
    with threads_to(proxy.address, PATIENT, now=clock) as transport:
        assert says(transport)
        be_quick(transport)
        proxy.delay(QUICK.deadline_s)
        assert refusal(transport, "PING").reason is Away.LATE
        for _ in range(3):
            clock.advance(120)
            fails_behind(transport)
        proxy.heal()
        be_patient(transport)
        clock.advance(120)
        wait_for(lambda: says(transport))


def test_a_login_alone_is_no_success(clock: MovedClock) -> None:
    """A server that takes the login and answers no command is not connected to."""
    with socket.create_server(("127.0.0.1", 0)) as mute:

        def greet() -> None:
            while True:
                try:
                    caller, _ = mute.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(1000)
                    caller.sendall(b"%0\r\n")
                    while caller.recv(1000):
                        pass

        threading.Thread(target=greet, daemon=True).start()
        with threads_to(mute.getsockname(), QUICK, now=clock) as transport:
            assert refusal(transport, "PING").reason is Away.LATE
            until_settled(transport)
            clock.advance(120)
            fails_behind(transport)
        mute.shutdown(socket.SHUT_RDWR)


def test_pauses_grow_and_end(victim: Server, clock: MovedClock) -> None:
    """Each failure in a row doubles the pause, and an answered call ends the row."""
    limits = Limits(deadline_s=5.0, backoff_s=1.0, backoff_max_s=4.0)
    victim.kill()
    with threads_to(victim.address, limits, now=clock, chance=lambda: 0.0) as transport:
        assert refusal(transport, "PING").reason is Away.REFUSED
        for pause_s in (1.0, 2.0, 4.0, 4.0):
            clock.advance(pause_s - 0.5)
            failures = pool_of(transport)._standing.failures
            assert refusal(transport, "PING").reason is Away.BACKING_OFF
            until_settled(transport)
            assert pool_of(transport)._standing.failures == failures
            clock.advance(0.5)
            fails_behind(transport)
        victim.start()
        clock.advance(4.0)
        wait_for(lambda: says(transport))
        assert pool_of(transport)._standing.failures == 0


def test_a_silent_network_costs_one_deadline(proxy: Proxy) -> None:
    """A peer that accepts and says nothing costs those who came first their deadline, and nobody else anything."""
    proxy.black_hole()
    with threads_to(proxy.address, QUICK) as transport:
        start = time.monotonic()
        assert refusal(transport, "PING").reason is Away.LATE
        assert refusal(transport, "PING").reason is Away.BACKING_OFF
        assert time.monotonic() - start < QUICK.deadline_s + SLACK_S


@pytest.mark.parametrize("threads", [1, 4])
def test_a_server_that_ended_all_and_then_falls_silent_costs_one_deadline(
    victim: Server, clock: MovedClock, threads: int
) -> None:
    """When no connection is left that works, one that is not opened in time is a failure: nobody waits again."""
    with threads_to(victim.address, PATIENT, now=clock) as transport:
        assert says(transport)
        be_quick(transport)
        victim.restart()
        victim.freeze()
        together = threading.Barrier(threads)

        def calls() -> list[Away]:
            together.wait(20)
            return [refusal(transport, "PING").reason for _ in range(5)]

        with ThreadPoolExecutor(threads) as pool:
            for told in [pool.submit(calls) for _ in range(threads)]:
                first, *others = told.result()
                assert first in {Away.LATE, Away.BACKING_OFF}
                assert set(others) == {Away.BACKING_OFF}
        assert pool_of(transport)._standing.failures == 1
        victim.thaw()
        be_patient(transport)
        clock.advance(120)
        wait_for(lambda: says(transport))


def test_new_connections_that_are_swallowed_cost_one_deadline(proxy: Proxy, clock: MovedClock) -> None:
    """The same where the server is well, and heard by another connection, and what is sent to it is swallowed."""
    with threads_to(proxy.address, PATIENT, now=clock) as transport:
        assert says(transport)
        be_quick(transport)
        proxy.reset()
        proxy.black_hole()
        assert refusal(transport, "PING").reason is Away.LATE
        assert refusal(transport, "PING").reason is Away.BACKING_OFF
        clock.advance(120)
        fails_behind(transport)


def test_one_connection_too_many_is_no_failure(proxy: Proxy, clock: MovedClock) -> None:
    """While another is open that nothing is known against, one that is not opened in time says nothing."""
    with threads_to(proxy.address, PATIENT, now=clock) as transport:
        assert says(transport)
        be_quick(transport)
        pool = pool_of(transport)
        held = pool.take(Deadline.after(10, time.monotonic))
        proxy.black_hole()
        assert refusal(transport, "PING").reason is Away.LATE
        assert pool._standing.failures == 0
        accepted = proxy.accepted
        assert refusal(transport, "PING").reason is Away.FULL, "others take turns meanwhile"
        assert proxy.accepted == accepted
        proxy.heal()
        be_patient(transport)
        pool.give_back(held)
        assert say(transport, "PING") == b"PONG"


def test_a_resolver_that_hangs_costs_one_deadline(
    server: Server, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name resolution cannot be hurried, so no caller's thread does it; when it comes to an end, calls work."""
    found, asked = threading.Event(), []
    resolve = socket.getaddrinfo

    def hang(*given: Any, **options: Any) -> Any:
        asked.append(given)
        found.wait(20)
        return resolve(*given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with threads_to(server.address, QUICK, now=clock) as transport:
        start = time.monotonic()
        assert refusal(transport, "PING").reason is Away.LATE
        for _ in range(5):
            clock.advance(120)
            assert refusal(transport, "PING").reason is Away.BACKING_OFF
        assert time.monotonic() - start < QUICK.deadline_s + SLACK_S
        assert len(asked) == 1
        be_patient(transport)
        found.set()
        until_settled(transport)  # it took longer than `connect_s`, so this one failed
        clock.advance(120)
        wait_for(lambda: says(transport))


def test_a_further_connection_is_dialled_where_the_first_is(proxy: Proxy, server: Server) -> None:
    """While the server is there, a caller that finds nothing idle connects by itself, within its deadline."""
    with threads_to(proxy.address) as transport:
        assert says(transport)
        pool = pool_of(transport)
        held = [pool.take(Deadline.after(10, time.monotonic))]
        assert say(transport, "PING") == b"PONG"
        assert proxy.accepted == 2
        held.append(pool.take(Deadline.after(10, time.monotonic)))
        proxy.refuse()
        assert refusal(transport, "PING").reason is Away.REFUSED
        assert refusal(transport, "PING").reason is Away.BACKING_OFF
        for connection in held:
            pool.give_back(connection)
        assert not pool._all, "what was connected before a failure is not used after it"


def test_a_name_leads_to_the_first_that_takes_it(server: Server) -> None:
    """Where a name has several addresses, those that refuse are passed over."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        address = ServerAddress(*server.address)
        connection = BlockingConnection(address, PATIENT)
        targets = [Target(socket.AF_INET, nobody.getsockname()), Target(socket.AF_INET, server.address)]
        connection.open(Login(), Deadline.after(10, time.monotonic), targets)
        assert connection.target == targets[1]
        connection.close()
        with pytest.raises(ConnectionAway) as raised:
            BlockingConnection(address, PATIENT).open(
                Login(), Deadline.after(10, time.monotonic), targets[:1]
            )
        assert raised.value.reason is Away.REFUSED


@pytest.mark.parametrize("host", ["a" * 64, "no such host.invalid", ""])
def test_a_name_that_cannot_be_one_is_a_refusal(host: str) -> None:
    """What the resolver makes of a bad name is the caller's `ConnectionAway`, whatever kind of error it was."""
    with threads_to(ServerAddress(host, 1), PATIENT) as transport:
        assert refusal(transport, "PING").reason is Away.REFUSED


def test_an_attempt_that_outlives_the_pool_leaves_nothing(proxy: Proxy) -> None:
    """Closing while a connection is being made returns at once, and the connection is not kept."""
    proxy.black_hole()
    with threads_to(proxy.address, QUICK) as transport:
        pool = pool_of(transport)
        assert refusal(transport, "PING").reason is Away.LATE
        start = time.monotonic()
        transport.close()
        assert time.monotonic() - start < SLACK_S
        wait_for(lambda: not pool._all)


def test_a_server_that_drops_every_call_is_left_alone(clock: MovedClock) -> None:
    """One that takes logins and ends the connection at the first command is a failure and not a mere loss."""

    def hang_up(_: list[bytes]) -> bytes:
        raise ConnectionResetError

    with peer(hang_up) as address, threads_to(address, now=clock) as transport:
        assert refusal(transport, "GET", "k").reason is Away.LOST
        assert refusal(transport, "GET", "k").reason is Away.BACKING_OFF
