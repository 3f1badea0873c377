"""Calls of threads that a signal's exception ends at the worst of moments, as a soft time limit does."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.interrupted import at_every_point, interrupts
from tests.stores.redis.conftest import PATIENT, pool_of, say, says, threads_to

if TYPE_CHECKING:
    from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
    from cacheaside.testing.servers import Server

# Between the making of a flow and its first step, too.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:unclosed .*socket:ResourceWarning"),
]

ENOUGH_S = 20.0


def say_elsewhere(transport: BlockingTransport) -> bool:
    """Whether another thread's call is answered, in time."""
    said: list[object] = []
    thread = threading.Thread(target=lambda: said.append(say(transport, "PING")), daemon=True)
    thread.start()
    thread.join(ENOUGH_S)
    return said == [b"PONG"]


def test_no_interruption_of_a_call_keeps_the_others_out(server: Server) -> None:
    """Wherever a handler raises in a call, the next is answered, and no connection stays counted that nobody has."""
    with threads_to(server.address, PATIENT, connections_max=2) as transport:
        assert says(transport)
        points = 0
        for points in at_every_point(lambda: say(transport, "PING")):
            assert say_elsewhere(transport), f"interrupted at {points}"
            assert len(pool_of(transport)._all) == 1
        assert points > 50


def test_no_interruption_of_the_first_call_keeps_the_others_out(server: Server) -> None:
    """Wherever a handler raises while the first connection is begun, the next call begins one, if need be."""
    for point in count(1):
        with threads_to(server.address, PATIENT) as transport:
            if not interrupts(lambda: say(transport, "PING"), point):
                break
            assert say_elsewhere(transport), f"interrupted at {point}"
    assert point > 50
