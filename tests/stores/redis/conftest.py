"""What the tests of connections share: one server for a module, a clock that can be moved, and one call."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.server import Limits, ServerAddress
from cacheaside.stores.redis.transport_aio import AioTransport
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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
    from cacheaside.stores.redis.away import ConnectionAway

    try:
        return await transport.execute([("PING",)]) == [b"PONG"]
    except ConnectionAway:
        link = transport._links.pop(asyncio.get_running_loop())
        await link.aclose()
        return False


async def works(transport: AioTransport) -> bool:
    """Whether a call is answered now; the first after a pause is not, and has the server tried behind it."""
    from cacheaside.stores.redis.away import ConnectionAway

    try:
        return await transport.execute([("PING",)]) == [b"PONG"]
    except ConnectionAway:
        return False


async def until(condition: Any, within_s: float = 20.0) -> None:
    """Return once `await condition()` holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(0.001)


async def ask(transport: AioTransport, *words: str | bytes | int) -> Any:
    """The reply to one command."""
    (reply,) = await transport.execute([words])
    return reply
