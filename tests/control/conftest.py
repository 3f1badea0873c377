"""A cache of one process under a clock of its own, and a server for fleets.

Nothing here sleeps to have something happen: a test waits for the condition, with a limit.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from cacheaside.testing.servers import Server
from tests.endpoint.world import World

SECRETS = (b"0123456789abcdef0123456789abcdef",)
_names = itertools.count()


@pytest.fixture(params=["async", pytest.param("blocking", marks=pytest.mark.blocks_loop)])
async def world(request: pytest.FixtureRequest) -> object:
    made = World(request.param)
    yield made
    await made.cache.aclose()


@pytest.fixture(scope="session")
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
def namespace() -> str:
    """One that no other test uses."""
    return f"fleet{next(_names)}"


def until(condition: Callable[[], object], within_s: float = 20.0) -> float:
    """Return when `condition` holds, and how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "what was waited for did not happen"
        time.sleep(0.002)
    return time.monotonic() - began


async def happens(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Return when `condition` holds, and let the loop run until then."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "what was waited for did not happen"
        await asyncio.sleep(0.001)
