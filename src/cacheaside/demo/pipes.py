"""A child's end of its two pipes: orders come in, reports go out; when the parent is gone, orders end.

The parent's death closes the pipe whatever killed it, so a child that ends with its orders outlives nobody.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec import Struct

from cacheaside.demo.messages import ToChild, line

__all__ = ["Parent", "leave_signals_to_the_parent"]

_STDIN: Final = 0
_STDOUT: Final = 1
_CHUNK_BYTES: Final = 65_536


def leave_signals_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal; only the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Parent:
    """The process that started this one. Made inside the event loop."""

    def __init__(self) -> None:
        self._orders: asyncio.Queue[ToChild | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        # A thread, since not every platform's event loop can wait for a pipe. It reads the bare descriptor: a
        # buffered reader's lock, held at exit, would abort the interpreter.
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    async def orders(self) -> AsyncIterator[ToChild]:
        """What the parent says, until it closes the pipe or is gone."""
        while (order := await self._orders.get()) is not None:
            yield order

    def tell(self, message: Struct) -> None:
        """Send a report. A parent that is gone is told nothing."""
        left = line(message)
        try:
            while left:
                left = left[os.write(_STDOUT, left) :]
        except BrokenPipeError:
            self.hang_up()

    def hang_up(self) -> None:
        """Take no more orders."""
        self._orders.put_nowait(None)

    def _listen(self) -> None:
        decoder = msgspec.json.Decoder(ToChild)
        pending = b""
        while chunk := os.read(_STDIN, _CHUNK_BYTES):
            *orders, pending = (pending + chunk).split(b"\n")
            for order in orders:
                self._put(decoder.decode(order))
        self._put(None)

    def _put(self, order: ToChild | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._orders.put_nowait, order)
        except RuntimeError:
            return  # the loop has ended, and nobody takes orders any more
