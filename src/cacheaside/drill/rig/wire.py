"""Requests and replies between the processes of a drill: lines of JSON over loopback, any number under way at once.

A line, and not HTTP: what a drill is to break is the source, and not the machine that carries the messages.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

import msgspec

from cacheaside.drill.rig.messages import Reply, Request

__all__ = ["Answering", "Asking", "dialled", "listening"]

UNDER_WAY_MAX: Final = 20_000
"""Requests of one connection that wait for their reply."""
_LINE_BYTES_MAX: Final = 65_536
_encoder: Final = msgspec.json.Encoder()
_requests: Final = msgspec.json.Decoder(Request)
_replies: Final = msgspec.json.Decoder(Reply)


class _Lines(asyncio.Protocol):
    """Calls `_line` for each."""

    def __init__(self) -> None:
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._pending) > _LINE_BYTES_MAX and self._transport is not None:
            self._transport.abort()

    def _line(self, line: bytes) -> None:
        raise AssertionError(line)

    def _send(self, message: msgspec.Struct) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_encoder.encode(message) + b"\n")


class Answering(_Lines):
    """The end that answers. asked: told of each request, with a function that answers it, now or later."""

    def __init__(self, asked: Callable[[Request, Callable[[Reply], None]], None]) -> None:
        super().__init__()
        self._asked = asked

    def _line(self, line: bytes) -> None:
        self._asked(_requests.decode(line), self._send)


class Asking(_Lines):
    """The end that asks."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self.closed = False

    async def ask(self, word: str, flight_id: int) -> Reply:
        """The reply. `ConnectionError` when the other end is gone, or when too many wait already."""
        if self.closed or len(self._waiting) >= UNDER_WAY_MAX:
            raise ConnectionError("the other end is gone" if self.closed else "too many requests under way")
        self._number += 1
        number = self._number
        self._waiting[number] = reply = asyncio.get_running_loop().create_future()
        self._send(Request(number, word, flight_id))
        try:
            answer: Reply = await reply
            return answer
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Whoever waits gets a `ConnectionError`."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(ConnectionError("the other end is gone"))

    def _line(self, line: bytes) -> None:
        reply = _replies.decode(line)
        waiting = self._waiting.get(reply.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


@asynccontextmanager
async def listening(protocol: Callable[[], Answering]) -> AsyncIterator[int]:
    """A listener on loopback; its port."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, family=socket.AF_INET)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def dialled(port: int) -> Asking:
    """A connection to whoever listens there."""
    _, asking = await asyncio.get_running_loop().create_connection(Asking, "127.0.0.1", port)
    return asking
