"""What the tests of connections share: one server for a module, a clock that can be moved, and one call."""

from __future__ import annotations

import asyncio
import itertools
import socketserver
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import hiredis
import pytest

from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from cacheaside.stores.redis.connect.pool import Pool

PATIENT = Limits(deadline_s=10.0, connect_s=10.0)
"""For tests in which nothing is to be late, on a machine that may be busy."""
QUICK = Limits(deadline_s=0.1, connect_s=5.0, backoff_s=30.0, backoff_max_s=60.0)
"""For tests of lateness; what backs off stays away until the clock is moved."""


class MovedClock:
    """The kernel's clock, and what a test adds to it."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_s

    def advance(self, by_s: float) -> None:
        self._ahead_s += by_s


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that no test hurts."""
    with Server() as started:
        yield started


@pytest.fixture
def victim() -> Iterator[Server]:
    """A server that the test may hurt."""
    with Server() as started:
        yield started


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.address) as started:
        yield started


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@asynccontextmanager
async def connected(
    address: tuple[str, int], limits: Limits = PATIENT, **options: Any
) -> AsyncIterator[AioTransport]:
    """A transport that has a connection, and leaves none behind."""
    transport = AioTransport(ServerAddress(*address), None, limits, **options)
    try:
        # What is to be late later must not be so now, on a busy machine.
        await until(lambda: ask_once(transport))
        yield transport
    finally:
        await transport.aclose()


async def ask_once(transport: AioTransport) -> bool:
    try:
        return await transport.execute([("PING",)]) == [b"PONG"]
    except ConnectionAway:
        link = transport._links.pop(asyncio.get_running_loop())
        await link.aclose()
        return False


async def works(transport: AioTransport) -> bool:
    """Whether a call is answered now; the first after a pause is not, and has the server tried behind it."""
    try:
        return await transport.execute([("PING",)]) == [b"PONG"]
    except ConnectionAway:
        return False


# -- threads -------------------------------------------------------------------------------------------------------


@contextmanager
def threads_to(
    address: ServerAddress | tuple[str, int], limits: Limits = PATIENT, **options: Any
) -> Iterator[BlockingTransport]:
    """A transport for threads to one server; it leaves no connection behind."""
    transport = BlockingTransport(limits=limits, **options)
    transport.use(Fleet((address if isinstance(address, ServerAddress) else ServerAddress(*address),)))
    try:
        yield transport
    finally:
        transport.close()


def pool_of(transport: BlockingTransport) -> Pool:
    """That of its only server."""
    (pool,) = transport._pools.values()
    return pool


def say(transport: BlockingTransport, *words: str | bytes | int) -> Any:
    """The reply to one command, from this thread."""
    (reply,) = run_blocking(transport.execute([words]))
    return reply


def refusal(transport: BlockingTransport, *words: str | bytes | int) -> ConnectionAway:
    """What the command fails with."""
    with pytest.raises(ConnectionAway) as raised:
        say(transport, *words)
    return raised.value


def says(transport: BlockingTransport) -> bool:
    """Whether a call is answered now; the first after a pause is not, and has the server tried behind it."""
    try:
        return bool(say(transport, "PING") == b"PONG")
    except ConnectionAway:
        return False


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Return once `condition()` holds."""
    pause = threading.Event()
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold"
        pause.wait(0.001)


@contextmanager
def peer(answer: Callable[[list[bytes]], bytes], *, knows_hello: bool = True) -> Iterator[tuple[str, int]]:
    """One that takes any login, and answers each command with the bytes that `answer` has for it; its address."""
    greetings = {b"HELLO": b"%0\r\n", b"PING": b"+PONG\r\n"} if knows_hello else {b"PING": b"+PONG\r\n"}

    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reader = hiredis.Reader()
            while heard := self.request.recv(65_536):
                reader.feed(heard)
                while command := reader.gets():
                    greeted = greetings.get(command[0])
                    self.request.sendall(greeted or answer(command))

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Listener(("127.0.0.1", 0), Talk) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener.server_address[:2]  # type: ignore[misc]
        finally:
            listener.shutdown()
            thread.join()


async def until(condition: Any, within_s: float = 20.0) -> None:
    """Return once `await condition()` holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(0.001)


async def ask(transport: AioTransport, *words: str | bytes | int) -> Any:
    """The reply to one command."""
    (reply,) = await transport.execute([words])
    return reply


def random_numbers() -> Callable[[int], bytes]:
    """In place of chance: bytes that never come twice, over all who draw in this process."""
    return lambda size: b"".join(next(_drawn).to_bytes(8, "big") for _ in range(-(-size // 8)))[-size:]


_drawn = itertools.count(1)
