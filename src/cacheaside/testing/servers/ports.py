"""Ports chosen by the system, and kept for as long as a server may come back to them."""

from __future__ import annotations

import socket
import sys
from typing import Final

__all__ = ["BUS_OFFSET", "LOOPBACK", "PortKept"]

LOOPBACK: Final = "127.0.0.1"
BUS_OFFSET: Final = 10_000
"""A cluster's nodes talk to each other on their port plus this."""
_LAST_PORT: Final = 65_535
_TRIES: Final = 200
_SHARES_BOUND_PORTS: Final = sys.platform == "linux"


class PortKept:
    """A free port of loopback, kept from everyone else until `give_back`.

    A bound socket that does not listen keeps it: the system gives the port to nobody, neither to a listener that lets
    it choose nor as the near end of a connection, and whoever connects is refused, as while no server runs. Without it
    another process could take the port between two lives of a server, and a client that keeps trying to connect to
    its own ephemeral range could, once in a while, meet itself. Linux lets a server bind to it all the same, since both
    sides ask for SO_REUSEADDR; elsewhere the port is only chosen, and the small risk remains.

    with_bus: the port 10,000 above it is kept too, for a node of a cluster. number: this port, and no other; `OSError`
    when it is taken.
    """

    def __init__(self, *, with_bus: bool = False, number: int = 0) -> None:
        self._sockets: list[socket.socket] = []
        for _ in range(1 if number else _TRIES):
            kept = _bound(number)
            self.number: int = kept.getsockname()[1]
            bus = _bus_of(self.number) if with_bus else None
            if with_bus and bus is None:
                kept.close()
                continue
            self._sockets = [kept, bus] if bus is not None else [kept]
            break
        else:
            raise OSError(f"no free port of {LOOPBACK} below {_LAST_PORT - BUS_OFFSET} in {_TRIES} tries")
        if not _SHARES_BOUND_PORTS:
            self.give_back()

    def give_back(self) -> None:
        """Let others have it. Twice is once."""
        while self._sockets:
            self._sockets.pop().close()


def _bound(port: int) -> socket.socket:
    kept = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind((LOOPBACK, port))
    except BaseException:
        kept.close()
        raise
    return kept


def _bus_of(port: int) -> socket.socket | None:
    if port + BUS_OFFSET > _LAST_PORT:
        return None
    try:
        return _bound(port + BUS_OFFSET)
    except OSError:
        return None
