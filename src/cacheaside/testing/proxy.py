"""A network that misbehaves when told to: a TCP proxy on loopback between a client and a server.

    with Proxy(server.address) as proxy:
        cache = Cache(f"redis://{proxy.host}:{proxy.port}/0")
        proxy.black_hole(TO_CLIENT)     # half open: commands arrive, answers do not
        ...
        proxy.heal()

It is TCP that misbehaves, so bytes come late, or end, or never come; none is lost from the middle of a stream that goes
on. What was held back is passed on, in order, when the proxy heals.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from cacheaside.testing.servers.ports import LOOPBACK, PortKept

__all__ = ["BOTH", "TO_CLIENT", "TO_SERVER", "Direction", "Proxy"]

T = TypeVar("T")
Direction = Literal["to client", "to server"]

TO_CLIENT: Final[Direction] = "to client"
TO_SERVER: Final[Direction] = "to server"
BOTH: Final = (TO_CLIENT, TO_SERVER)

CHUNK_BYTES: Final = 65_536
QUEUED_CHUNKS_MAX: Final = 256
"""How much one direction of a connection holds back before it stops to read."""
_ORDER_S: Final = 10.0
_ENDING_S: Final = 1.0


class Proxy:
    """A TCP proxy with a thread of its own. Every switch is in force when its call returns, for all connections.

    upstream: host and port of the server. tls: serve TLS with it, and speak plainly to the server. port:
    where to listen; 0: a free one.
    Counters, read at any time: `accepted` connections so far, `passed` bytes by direction.
    """

    def __init__(
        self, upstream: tuple[str, int], *, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self._upstream = upstream
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="cacheaside-test-proxy", daemon=True
        )
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self.weather = {direction: _Weather() for direction in BOTH}
        self.accepted = 0
        self.passed: dict[Direction, int] = {TO_CLIENT: 0, TO_SERVER: 0}
        self.host: Final = LOOPBACK
        self._kept = PortKept(number=port)  # while new connections are refused, too
        self.port: Final = self._kept.number

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        return (self.host, self.port)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    # -- switches --------------------------------------------------------------------------------------------

    def delay(self, seconds: float, directions: Iterable[Direction] | Direction = BOTH) -> None:
        """Every byte takes this much longer; throughput stays."""
        self._set(directions, lambda weather: weather.delayed(seconds))

    def black_hole(self, directions: Iterable[Direction] | Direction = BOTH) -> None:
        """Pass nothing on and close nothing, as when a cable is cut. New connections are accepted, and as silent."""
        self._set(directions, lambda weather: weather.hold())

    def release(self, directions: Iterable[Direction] | Direction = BOTH) -> None:
        """End a black hole: what was held back goes on. Other faults stay."""
        self._set(directions, lambda weather: weather.release())

    def truncate(self, after_bytes: int, directions: Iterable[Direction] | Direction = TO_CLIENT) -> None:
        """Pass so many bytes on, over all connections together, then close the connection they ran out on."""
        self._set(directions, lambda weather: weather.cut_after(after_bytes))

    def flood(self, content: bytes, times: int = 1) -> None:
        """Send `content` to every client `times` times, as if the server had, at a boundary between its packets."""
        self._order(self._flood(content, times))

    def reset(self) -> None:
        """Reset every connection, both ends (RST, not FIN). New ones work."""
        self._order(self._reset())

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        self._order(self._refuse())

    def heal(self) -> None:
        """Undo all of the above; what was held back goes on. Connections that were closed stay closed."""
        self._order(self._heal())

    # -- life ------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen, on a free port."""
        self._thread.start()
        self._order(self._listen())
        return self

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._order(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ORDER_S)
        self._loop.close()
        self._kept.give_back()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- on the thread ---------------------------------------------------------------------------------------

    def _order(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ORDER_S)

    def _set(self, directions: Iterable[Direction] | Direction, change: Callable[[_Weather], None]) -> None:
        async def work() -> None:
            for direction in (directions,) if isinstance(directions, str) else directions:
                change(self.weather[direction])

        self._order(work())

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self._tls, backlog=1024
        )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(self._upstream)
        finally:
            self._links.discard(link)

    async def _flood(self, content: bytes, times: int) -> None:
        for link in list(self._links):
            for _ in range(times):
                link.send_to_client(content)

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()  # not wait_closed: it would wait for the connections
            self._listener = None

    async def _heal(self) -> None:
        for weather in self.weather.values():
            weather.clear()
        if self._listener is None:
            await self._listen()

    async def _shut(self) -> None:
        await self._refuse()
        # Aborted and waited for: to close TLS in order takes both ends, and a loop that is closed meanwhile would leave
        # sockets behind. Cancelled are only those that have not come to pass anything on.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for link in list(self._links):
            link.reset()
            link.close()
        if others:
            _, unending = await asyncio.wait(others, timeout=_ENDING_S)
            for task in unending:
                task.cancel()
            await asyncio.gather(*unending, return_exceptions=True)
        await asyncio.sleep(0)


class _Weather:
    """What one direction does to bytes, now."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.left_bytes: int | None = None
        self.passing = asyncio.Event()
        self.passing.set()

    def delayed(self, seconds: float) -> None:
        self.delay_s = seconds

    def hold(self) -> None:
        self.passing.clear()

    def release(self) -> None:
        self.passing.set()

    def cut_after(self, count_bytes: int) -> None:
        self.left_bytes = count_bytes

    def clear(self) -> None:
        self.delay_s = 0.0
        self.left_bytes = None
        self.passing.set()


class _Link:
    """One client's connection, and the one to the server behind it."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._upstream: asyncio.StreamWriter | None = None
        self._pumps: list[asyncio.Task[None]] = []

    async def run(self, address: tuple[str, int]) -> None:
        """Pass bytes on until either side ends; a server that is not there ends the client's connection."""
        try:
            with suppress(OSError):
                reader, self._upstream = await asyncio.open_connection(*address)
                self._pumps = [
                    asyncio.create_task(self._pump(self._reader, self._upstream, TO_SERVER)),
                    asyncio.create_task(self._pump(reader, self._writer, TO_CLIENT)),
                ]
                await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.close()

    def send_to_client(self, content: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(content)

    def close(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        for writer in filter(None, (self._writer, self._upstream)):
            writer.close()

    def reset(self) -> None:
        for writer in filter(None, (self._writer, self._upstream)):
            held = writer.get_extra_info("socket")
            with suppress(OSError, AttributeError):  # it is closed already, and TLS has no socket then
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS_MAX)
        reading = asyncio.create_task(self._read(reader, queue, self._proxy.weather[direction]))
        try:
            with suppress(OSError):
                while await self._pass_one(queue, writer, direction):
                    pass
        finally:
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]], weather: _Weather
    ) -> None:
        now = asyncio.get_running_loop().time
        content = b"not yet"
        while content:
            try:
                content = await reader.read(CHUNK_BYTES)
            except OSError:
                content = b""
            await queue.put((now() + weather.delay_s, content))

    async def _pass_one(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, direction: Direction
    ) -> bool:
        weather = self._proxy.weather[direction]
        due, content = await queue.get()
        if (early_s := due - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(early_s)
        await weather.passing.wait()  # an end of the stream is held back as well: a cut cable says nothing
        cut = weather.left_bytes is not None and len(content) >= weather.left_bytes
        if weather.left_bytes is not None:
            content = content[: weather.left_bytes]
            weather.left_bytes -= len(content)
        if cut:
            weather.left_bytes = None  # once: the next connection is whole
        self._proxy.passed[direction] += len(content)
        writer.write(content)
        await writer.drain()
        return bool(content) and not cut
