"""Sentinels: whom they name, when they are believed, and a failover from end to end."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.topology import SentinelTopology
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Replicated, Server
from tests.stores.redis.conftest import peer
from tests.stores.redis.connect.topology.conftest import FIND_S, Way, found

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def replicated() -> Iterator[Replicated]:
    """One for the module; its last test kills the primary."""
    with Replicated() as started:
        yield started


def sentinels(replicated: Replicated) -> list[ServerAddress]:
    return [ServerAddress(*address) for address in replicated.sentinel_addresses]


def fleet_of(server: Server) -> Fleet:
    return Fleet((ServerAddress(*server.address),))


def failure(topology: SentinelTopology, within_s: float = FIND_S) -> ConnectionAway:
    with pytest.raises(ConnectionAway) as raised:
        topology.find(within_s)
    return raised.value


def test_the_primary_is_named(replicated: Replicated) -> None:
    """Any Sentinel names it."""
    for sentinel in sentinels(replicated):
        topology = SentinelTopology([sentinel], replicated.service)
        assert topology.find(FIND_S) == fleet_of(replicated.primary)


def test_sentinels_are_asked_in_turn(replicated: Replicated) -> None:
    """One that is gone, and one that is silent, cost a share of the time; who was right is asked first next."""
    gone = ServerAddress("127.0.0.1", 1)
    with Proxy(replicated.sentinel_addresses[0]) as silent:
        silent.black_hole()
        right = sentinels(replicated)[1]
        topology = SentinelTopology([gone, ServerAddress(*silent.address), right], replicated.service)
        start = time.monotonic()
        assert topology.find(1.0) == fleet_of(replicated.primary)
        assert time.monotonic() - start < 1.0
        assert silent.accepted == 1
        assert topology.find(1.0) == fleet_of(replicated.primary)
        assert silent.accepted == 1


def test_nobody_to_ask_is_told_in_time() -> None:
    """With every Sentinel silent it fails when its time is over, and says what it tried."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = ServerAddress(*silent.getsockname())
        start = time.monotonic()
        away = failure(SentinelTopology([address, address, address], "shop"), 0.2)
        assert 0.2 <= time.monotonic() - start < 1.2
        assert away.reason is Away.LATE
        assert str(address) in str(away)
        assert "shop" in str(away)


def test_somebody_has_to_be_asked() -> None:
    """Without a Sentinel the topology is refused when it is declared."""
    with pytest.raises(DeclarationError, match="sentinels"):
        SentinelTopology([], "shop")


def test_an_unknown_service_says_so(replicated: Replicated) -> None:
    """A name that the Sentinels do not know is in the message."""
    away = failure(SentinelTopology(sentinels(replicated), "nobody"))
    assert away.reason is Away.REFUSED
    assert "it knows no service nobody" in str(away)


def test_a_server_that_is_no_primary_is_not_believed(replicated: Replicated) -> None:
    """A Sentinel that still names what is a replica by now is passed over."""
    host, port = replicated.replica.address
    behind = b"*2\r\n$%d\r\n%b\r\n$%d\r\n%d\r\n" % (len(host), host.encode(), len(str(port)), port)
    with peer(lambda _: behind) as address:
        stale = ServerAddress(*address)
        topology = SentinelTopology([stale, *sentinels(replicated)], replicated.service)
        assert topology.find(FIND_S) == fleet_of(replicated.primary)
        away = failure(SentinelTopology([stale], replicated.service))
        assert "says it is a replica" in str(away)


@pytest.mark.parametrize(
    "answer",
    [b"+OK\r\n", b"*1\r\n+h\r\n", b"*2\r\n+h\r\n+70000\r\n", b"*2\r\n$1\r\n\xff\r\n+1\r\n", b"-ERR no\r\n"],
)
def test_an_answer_that_makes_no_sense_is_no_answer(answer: bytes) -> None:
    """What is no host and port, or an error, is a reason why nobody could tell, and nothing else."""
    with peer(lambda _: answer) as address:
        away = failure(SentinelTopology([ServerAddress(*address)], "shop"))
        assert away.reason in (Away.GARBLED, Away.REFUSED)


def test_each_has_its_own_login() -> None:
    """The Sentinels' password is sent to them, and the servers' to the servers."""
    with Server(password="s3cret") as guarded, Server(password="s4cret") as named:
        # Not a Sentinel: what it answers shows that the login was taken.
        topology = SentinelTopology(
            [ServerAddress(*guarded.address)], "shop", sentinel_login=Login(password="s3cret")
        )
        assert "it answered ERR, and not a host and a port" in str(failure(topology))
        host, port = named.address
        names = b"*2\r\n$9\r\n%b\r\n:%d\r\n" % (host.encode(), port)
        with peer(lambda _: names) as address:
            sentinel = [ServerAddress(*address)]
            assert SentinelTopology(sentinel, "shop", login=Login(password="s4cret")).find(FIND_S)
            assert failure(SentinelTopology(sentinel, "shop")).reason is Away.LOGIN


def test_a_failover_from_end_to_end(replicated: Replicated, both_ways: tuple[Way, Way]) -> None:
    """The primary is killed: the new one is found, and the transports work with it and hold nothing of the old."""
    topology = SentinelTopology(sentinels(replicated), replicated.service)
    old = replicated.primary
    for way in both_ways:
        way.use(topology.find(FIND_S))
        assert way.execute([("SET", "k", "v")]) == [b"OK"]
    assert old.ask("WAIT", 1, 5000) == 1
    old.kill()
    for way in both_ways:
        with pytest.raises(ConnectionAway):
            way.execute([("GET", "k")])
    new = replicated.wait_failover(old)
    assert found(topology) == fleet_of(new)
    for way in both_ways:
        way.use(fleet_of(new))
        assert way.execute([("GET", "k"), ("SET", "k", "w"), ("SET", "k", "v")]) == [b"v", b"OK", b"OK"]
