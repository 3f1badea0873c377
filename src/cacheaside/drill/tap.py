"""A proxy in a process of its own, for drills of a service that is not the drill's: `cacheaside drill proxy`.

The service is pointed at it beforehand, and it passes everything on. A drill gives it orders over a unix socket that
only its user can open, and what a drill ordered lasts for as long as that connection is open: when the drill ends,
however it ends, everything passes again.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.testing.proxy import Proxy

__all__ = ["Tap", "serving"]

_ANSWER_S: Final = 5.0
_ORDER_BYTES_MAX: Final = 1_000


class _Order(Struct, frozen=True):
    """word: delay, black_hole, refuse, reset, heal or where; seconds: of a delay."""

    word: str
    seconds: float = 0.0


class _Where(Struct, frozen=True):
    """The answer to each order: where the proxy listens, and how many connections it carries."""

    host: str
    port: int
    connections: int


class _Orders(socketserver.StreamRequestHandler):
    """One drill's connection."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Listener)
        with server.one_at_a_time:
            try:
                while line := self.rfile.readline(_ORDER_BYTES_MAX):
                    _obey(server.proxy, msgspec.json.decode(line, type=_Order))
                    proxy = server.proxy
                    where = _Where(proxy.host, proxy.port, proxy.connections)
                    self.wfile.write(msgspec.json.encode(where) + b"\n")
            except (OSError, msgspec.MsgspecError):
                return  # a drill that was killed, or none of ours
            finally:
                server.proxy.heal()


def _obey(proxy: Proxy, order: _Order) -> None:
    match order.word:
        case "delay":
            proxy.delay(order.seconds)
        case "black_hole":
            proxy.black_hole()
        case "refuse":
            proxy.refuse()
        case "reset":
            proxy.reset()
        case "heal":
            proxy.heal()


class _Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path: Path, proxy: Proxy) -> None:
        self.proxy = proxy
        self.one_at_a_time = threading.Lock()
        super().__init__(str(path), _Orders)


@contextmanager
def serving(upstream: tuple[str, int], port: int, control: Path) -> Iterator[Proxy]:
    """The proxy, on loopback, with its control socket at `control`, until the block ends. port: 0: a free one."""
    control.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if control.is_socket() and not _is_served(control):
        control.unlink()  # left by one that was killed
    before = os.umask(0o177)
    try:
        with Proxy(upstream, port=port) as proxy, _Listener(control, proxy) as listener:
            os.umask(before)
            serving_it = threading.Thread(
                target=listener.serve_forever, name="cacheaside-drill-tap", daemon=True
            )
            serving_it.start()
            try:
                yield proxy
            finally:
                listener.shutdown()
    finally:
        os.umask(before)
        control.unlink(missing_ok=True)


def _is_served(control: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(control))
    except OSError:
        return False
    return True


class Tap:
    """A drill's end of it: implements `faults.around.Wire`. What it ordered ends with it."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(_ANSWER_S)
        try:
            self._connection.connect(str(control))
            self._lines = self._connection.makefile("rb")
            self._where = self._order("where")
        except (OSError, msgspec.MsgspecError) as error:
            self._connection.close()
            raise CannotDrill(
                f"no proxy answers at {control} ({type(error).__name__}): start it with `cacheaside drill proxy`, and "
                "point the service at it. Nothing was touched."
            ) from error

    @property
    def address(self) -> tuple[str, int]:
        """Where the service reaches it."""
        return (self._where.host, self._where.port)

    @property
    def connections(self) -> int:
        """How many it carries now."""
        self._where = self._order("where")
        return self._where.connections

    def delay(self, seconds: float) -> None:
        self._order("delay", seconds)

    def black_hole(self) -> None:
        self._order("black_hole")

    def refuse(self) -> None:
        self._order("refuse")

    def reset(self) -> None:
        self._order("reset")

    def heal(self) -> None:
        self._order("heal")

    def close(self) -> None:
        """Everything passes again."""
        self._lines.close()
        self._connection.close()

    def _order(self, word: str, seconds: float = 0.0) -> _Where:
        self._connection.sendall(msgspec.json.encode(_Order(word, seconds)) + b"\n")
        return msgspec.json.decode(self._lines.readline(_ORDER_BYTES_MAX), type=_Where)
