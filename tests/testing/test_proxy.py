"""The proxy: invisible when it is well, and each of its faults as a client meets it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside.testing.proxy import TO_CLIENT, TO_SERVER, Proxy
from cacheaside.testing.servers import Server, Unreachable
from cacheaside.testing.servers.client import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENCE_S = 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.address) as started:
        yield started


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy, as a client has it."""
    with socket.create_connection(proxy.address, 10.0) as connected:
        connected.sendall(b"PING\r\n")
        assert connected.recv(100) == b"+PONG\r\n"
        yield connected


def silent(connection: socket.socket) -> bool:
    """Whether nothing comes for a while."""
    connection.settimeout(SILENCE_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10.0)
    return False


def test_bytes_pass_unchanged(proxy: Proxy) -> None:
    """Without a fault a megabyte goes up and comes down as it was, and is counted."""
    content = bytes(range(33, 127)) * 11_000
    assert ask(proxy.address, "SET", "k", content) == "OK"
    assert ask(proxy.address, "GET", "k") == content.decode()
    assert proxy.passed[TO_SERVER] > len(content)
    assert proxy.passed[TO_CLIENT] > len(content)
    assert proxy.accepted == 2


def test_delay_makes_answers_late(proxy: Proxy, connection: socket.socket) -> None:
    """A delay both ways is paid twice by a round trip, and not once for each command of a pipeline."""
    proxy.delay(0.05)
    start = time.monotonic()
    received = b""
    for _ in range(20):
        connection.sendall(b"PING\r\n")
    while len(received) < 20 * 7:
        received += connection.recv(1000)
    assert 0.1 <= time.monotonic() - start < 1.0


def test_a_black_hole_toward_the_client_is_half_open(
    proxy: Proxy, connection: socket.socket, server: Server
) -> None:
    """Commands still reach the server while answers do not reach the client, until the proxy heals."""
    proxy.black_hole(TO_CLIENT)
    connection.sendall(b"SET half open\r\n")
    assert silent(connection)
    assert server.ask("GET", "half") == "open"
    proxy.heal()
    assert connection.recv(100) == b"+OK\r\n"


def test_a_black_hole_toward_the_server_keeps_commands(
    proxy: Proxy, connection: socket.socket, server: Server
) -> None:
    """A command that was held back is carried out when the proxy heals, and not before."""
    proxy.black_hole(TO_SERVER)
    connection.sendall(b"SET late 1\r\n")
    assert silent(connection)
    assert server.ask("GET", "late") is None
    proxy.heal()
    assert connection.recv(100) == b"+OK\r\n"
    assert server.ask("GET", "late") == "1"


def test_new_connections_into_a_black_hole_are_accepted(proxy: Proxy) -> None:
    """Who connects to a black hole gets a connection and no answer."""
    proxy.black_hole()
    with pytest.raises(Unreachable, match="timed out"):
        ask(proxy.address, "PING", within_s=SILENCE_S)


def test_a_truncated_answer_ends_the_connection(
    proxy: Proxy, connection: socket.socket, server: Server
) -> None:
    """The first bytes of an answer arrive, then the end of the stream; the next connection is whole."""
    server.ask("SET", "long", "x" * 100)
    proxy.truncate(10)
    connection.sendall(b"GET long\r\n")
    received = b""
    while part := connection.recv(1000):
        received += part
    assert received == b"$100\r\nxxxx"
    assert ask(proxy.address, "GET", "long") == "x" * 100


def test_a_reset_is_a_reset(proxy: Proxy, connection: socket.socket) -> None:
    """Open connections fail with a reset rather than an end, and new ones work."""
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert ask(proxy.address, "PING") == "PONG"


def test_refused_connections_are_refused(proxy: Proxy, connection: socket.socket) -> None:
    """New connections are refused at the same port until it heals, while open ones go on."""
    proxy.refuse()
    with pytest.raises(Unreachable, match="refused"):
        ask(proxy.address, "PING")
    connection.sendall(b"PING\r\n")
    assert connection.recv(100) == b"+PONG\r\n"
    proxy.heal()
    assert ask(proxy.address, "PING") == "PONG"


def test_a_flood_reaches_every_client(proxy: Proxy, connection: socket.socket) -> None:
    """Content that the server never sent arrives as often as was said."""
    proxy.flood(b"+flood\r\n", times=1000)
    received = 0
    while received < 8 * 1000:
        received += len(connection.recv(65_536))
    assert received == 8 * 1000


def test_a_server_that_is_away_ends_the_connection(server: Server) -> None:
    """A client behind the proxy is told at once that no server is there."""
    with Server() as lost, Proxy(lost.address) as proxy:
        lost.kill()
        with pytest.raises(Unreachable):
            ask(proxy.address, "PING")
