"""A child's end of its two pipes: orders come in, reports go out; when the parent is gone, orders end.

The parent's death closes the pipe whatever killed it, so a child that ends with its orders outlives nobody.
"""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from cacheaside.demo.messages import line

__all__ = ["Parent", "leave_signals_to_the_parent"]

Order = TypeVar("Order")

_STDIN: Final = 0
_STDOUT: Final = 1
_CHUNK_BYTES: Final = 65_536


def leave_signals_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal; only the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Parent(Generic[Order]):
    """The process that started this one. Made inside the event loop. orders: the type of what it says.

    Threads wait for the pipes: not every platform's event loop can, and a pipe that is full would block it. They use
    the bare descriptors, since a buffered reader's lock, held at exit, would abort the interpreter.
    """

    def __init__(self, orders: Any) -> None:
        self._decoder: msgspec.json.Decoder[Order] = msgspec.json.Decoder(orders)
        self._loop = asyncio.get_running_loop()
        self._orders: asyncio.Queue[Order | None] = asyncio.Queue()
        self._reports: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for work in (self._listen, self._speak):
            threading.Thread(target=work, daemon=True).start()

    async def orders(self) -> AsyncIterator[Order]:
        """What the parent says, until it closes the pipe or is gone."""
        while (order := await self._orders.get()) is not None:
            yield order

    def tell(self, message: Struct) -> None:
        """Send a report, without waiting; a parent that has what it wants ends the orders."""
        self._reports.put(line(message))

    def hang_up(self) -> None:
        """Take no more orders."""
        self._orders.put_nowait(None)

    def _listen(self) -> None:
        pending = b""
        while chunk := os.read(_STDIN, _CHUNK_BYTES):
            *orders, pending = (pending + chunk).split(b"\n")
            for order in orders:
                self._put(self._decoder.decode(order))
        self._put(None)

    def _speak(self) -> None:
        while True:
            left = self._reports.get()
            try:
                while left:
                    left = left[os.write(_STDOUT, left) :]
            except BrokenPipeError:
                return self._put(None)

    def _put(self, order: Order | None) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody takes orders any more
            self._loop.call_soon_threadsafe(self._orders.put_nowait, order)
