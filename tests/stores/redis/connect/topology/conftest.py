"""What the tests of topologies share: both transports, asked in one way."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.routing_aio import AioFleet
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cacheaside.stores.redis.connect.fleet import Fleet, Topology, Transport
    from cacheaside.stores.redis.wire.replies import Command

EAGER = Limits(deadline_s=5.0, connect_s=5.0, backoff_s=0.01, backoff_max_s=0.05)
"""Patient with a busy machine, and soon there again after a failure."""
FIND_S = 5.0


class Way:
    """A transport, and how one waits for it."""

    def __init__(self, transport: Transport, wait: Callable[[Any], Any]) -> None:
        self.transport = transport
        self._wait = wait

    def use(self, fleet: Fleet) -> None:
        self.transport.use(fleet)

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        answered: list[Any] = self._wait(self.transport.execute(commands))
        return answered

    def answered(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, once a server that was left alone is asked again."""
        return within(lambda: self.execute(commands))


@contextmanager
def from_threads() -> Iterator[Way]:
    transport = BlockingTransport(limits=EAGER)
    yield Way(transport, run_blocking)
    transport.close()


@contextmanager
def from_a_loop() -> Iterator[Way]:
    fleet = AioFleet(limits=EAGER)
    with asyncio.Runner() as runner:
        yield Way(fleet, runner.run)
        runner.run(fleet.aclose())


@pytest.fixture(params=[from_a_loop, from_threads])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Each rule holds for both transports."""
    with request.param() as one:
        yield one


@pytest.fixture
def both_ways() -> Iterator[tuple[Way, Way]]:
    """For what takes a while to happen, and happens to both."""
    with from_a_loop() as one, from_threads() as other:
        yield one, other


def within(call: Callable[[], Any], within_s: float = 20.0) -> Any:
    """What `call` returns, once it is not away any more."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except ConnectionAway:
            if time.monotonic() > deadline:
                raise


def found(topology: Topology) -> Fleet:
    """The fleet, as soon as it can be told."""
    fleet: Fleet = within(lambda: topology.find(FIND_S))
    return fleet
