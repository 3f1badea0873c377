"""The whole library over real servers, as a service uses it: only what no test of a part can show belongs here.

Two `Service`s of one namespace stand for two processes; where it matters that they are processes, there are some. A
server is shared by the tests of a module, each of which has a namespace of its own; who hurts one takes a `victim`.

Nothing here sleeps to have something happen: a test waits for the condition, with a limit. Where it is about time, it
compares with a deadline that is long beside the delays of a busy machine.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server
from tests.live.service import Rows, Service, Start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_names = itertools.count()


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
    """The way to the server, to be disturbed."""
    with Proxy(server.address) as started:
        yield started


@pytest.fixture(params=["asyncio", "threads"])
def colour(request: pytest.FixtureRequest) -> str:
    """Both ways to use a cache."""
    named: str = request.param
    return named


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def namespace() -> str:
    """One that no other test uses."""
    return f"shop{next(_names)}"


@pytest.fixture
async def processes(rows: Rows, namespace: str) -> AsyncIterator[Start]:
    """Makes processes of one service, over the same rows; all are closed at the end."""
    made: list[Service] = []

    def start(url: str, **options: Any) -> Service:
        service = Service(url, options.pop("rows", rows), **{"namespace": namespace, **options})
        made.append(service)
        return service

    yield start
    for service in made:
        await service.close()
