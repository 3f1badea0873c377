"""The proxy that a user's service is routed through, and what becomes of an order when its drill is gone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.tap import Tap, serving
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLED = """
import os, signal, sys
from pathlib import Path
from cacheaside.drill.tap import Tap
tap = Tap(Path(sys.argv[1]))
tap.black_hole()
print("black", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def answers(address: tuple[str, int], within_s: float) -> bool:
    """Whether a PING comes back."""
    with socket.create_connection(address, 5.0) as connection:
        connection.settimeout(within_s)
        connection.sendall(b"PING\r\n")
        try:
            return connection.recv(10) == b"+PONG\r\n"
        except TimeoutError:
            return False


def test_an_order_lasts_as_long_as_its_drill(server: Server, tmp_path: Path) -> None:
    """Closed, everything passes again."""
    with serving(server.address, 0, tmp_path / "tap") as proxy:
        tap = Tap(tmp_path / "tap")
        assert tap.address == proxy.address
        tap.black_hole()
        assert not answers(proxy.address, 0.2)
        tap.close()
        assert answers(proxy.address, 5.0)


def test_a_killed_drill_leaves_nothing_broken(server: Server, tmp_path: Path) -> None:
    """kill -9 closes its connection, and the proxy heals by itself."""
    with serving(server.address, 0, tmp_path / "tap") as proxy:
        drill = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path / "tap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert drill.stdout is not None
        assert drill.stdout.readline() == "black\n"
        assert not answers(proxy.address, 0.2)
        drill.communicate("die\n")
        assert answers(proxy.address, 5.0)


def test_a_port_can_be_chosen(server: Server, tmp_path: Path) -> None:
    """Services are configured with a port, so the proxy takes the one it is given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(server.address, port, tmp_path / "tap") as proxy:
        assert proxy.port == port
        assert answers(proxy.address, 5.0)


def test_its_control_is_its_users_alone(server: Server, tmp_path: Path) -> None:
    """Others on the machine cannot open it; and it is gone with the proxy."""
    with serving(server.address, 0, tmp_path / "tap"):
        assert (tmp_path / "tap").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "tap").exists()


def test_no_proxy_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Before anything is touched."""
    with pytest.raises(CannotDrill, match="drill proxy"):
        Tap(tmp_path / "tap")


def test_rubbish_ends_one_connection_and_breaks_nothing(server: Server, tmp_path: Path) -> None:
    """What is no order is answered by hanging up; the next drill is heard."""
    with serving(server.address, 0, tmp_path / "tap") as proxy:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(tmp_path / "tap"))
            stranger.settimeout(5.0)
            stranger.sendall(b"rm -rf\n")
            assert stranger.recv(10) == b""
        tap = Tap(tmp_path / "tap")
        began = time.monotonic()
        tap.delay(0.05)
        assert answers(proxy.address, 5.0)
        assert time.monotonic() - began >= 0.05
        tap.close()
