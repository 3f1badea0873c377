"""What ends a thread's wait early."""

from __future__ import annotations

import contextlib
import socket

from cacheaside.stores.redis.connect.deadline import has_more

__all__ = ["Waker"]


class Waker:
    """A pair of sockets: something to select on, and something to write to from any thread."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def fileno(self) -> int:
        """For selectors."""
        return self._out.fileno()

    def wake(self) -> None:
        """End the wait."""
        with contextlib.suppress(OSError):  # full: it will wake; closed: there is nobody to wake
            self._in.send(b"\0")

    def drain(self) -> None:
        """Be woken no longer by what came so far."""
        with contextlib.suppress(OSError):
            while self._out.recv(4096):
                pass

    def pause(self, within_s: float) -> None:
        """Wait for so long, or until woken. Opens nothing: there may be no descriptor left."""
        has_more(self._out, within_s)

    def close(self) -> None:
        """Twice is once."""
        self._out.close()
        self._in.close()
