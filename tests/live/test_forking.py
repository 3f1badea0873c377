"""A parent that used the cache forks, as servers that preload do: both go on, each with connections of its own."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from cacheaside.testing.proxy import Proxy
from tests.live.service import MINUTE, Rows, Service
from tests.runtime.test_fork import in_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*use of fork:DeprecationWarning"
)  # that it is risky is the subject

TLS = Path(__file__).parents[1] / "stores" / "redis" / "tls"


@pytest.fixture
def encrypted(server: Server) -> Iterator[str]:
    """A URL of the server by way of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    with Proxy(server.address, tls=context) as proxy:
        yield f"rediss://{proxy.host}:{proxy.port}/0?ca={TLS / 'certificate.pem'}&server_name=cache.test"


@pytest.fixture(params=["plain", "encrypted"])
def url(request: pytest.FixtureRequest, server: Server) -> str:
    """Of the server, plainly or by way of TLS."""
    return server.url if request.param == "plain" else request.getfixturevalue("encrypted")


@pytest.fixture
def service(url: str, rows: Rows, namespace: str) -> Iterator[Service]:
    """A process that used its cache from threads and from a loop, which is closed."""
    service = Service(url, rows, colour="threads", namespace=namespace)

    @service.cache.read("awaited", tags=lambda key: [service.products(key)], contract=MINUTE)
    async def awaited(key: int) -> int:
        return rows.load(key)

    service.awaited = awaited  # type: ignore[attr-defined]

    async def once() -> None:
        assert await awaited(1) == 0
        await service.cache._host.shared._aio.aclose()

    asyncio.run(once())
    held(service, 1)
    yield service
    service.cache.close()


def held(service: Service, key: int) -> int:
    """The value of `key`, once this process holds it."""
    deadline = time.monotonic() + 10
    while (found := service.product.lookup(key)).tier is not Tier.L1:
        assert time.monotonic() < deadline, found
        time.sleep(0.001)
    return int(found.value)


def seen(service: Service, key: int, value: int) -> bool:
    """Whether a read gives `value`, soon."""
    deadline = time.monotonic() + 10
    while service.product(key) != value:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_a_child_has_connections_of_its_own(service: Service) -> None:
    """The child reads from the tier, holds, hears and invalidates; the parent hears of it, and its own connections
    work as before, also once the child has ended."""
    parent, rows = os.getpid(), service.rows

    def work() -> object:
        assert os.getpid() != parent
        first = service.product.lookup(1)
        assert (first.value, first.tier) == (0, Tier.L2), first
        held(service, 1)
        asyncio.run(_awaited(service))
        service.cache.blocking.invalidate(service.products(1))
        rows.values[1] = 5
        return service.product(1)

    assert in_child(work) == "5"
    assert seen(service, 1, 5), "what the child loaded after its invalidation is the parent's too"
    held(service, 1)
    assert in_child(lambda: held(service, 1)) == "5"
    asyncio.run(_awaited(service))


async def _awaited(service: Service) -> None:
    """A read in a loop of its own: shared, from the second on."""
    await service.awaited(1)  # type: ignore[attr-defined]
    found = await service.awaited.lookup(1)  # type: ignore[attr-defined]
    assert found.tier is not Tier.SOURCE, found
    await service.cache._host.shared._aio.aclose()


def test_the_child_hears_of_the_parent(service: Service) -> None:
    """What the parent writes after the fork the child hears of, and what it inherited it does not serve unchecked."""
    told, heard = os.pipe(), os.pipe()

    def work() -> object:
        before = held(service, 1)
        os.write(told[1], b"x")
        os.read(heard[0], 1)
        service.rows.values[1] = 9
        return before, seen(service, 1, 9)

    def write() -> None:
        os.read(told[0], 1)
        service.cache.blocking.invalidate(service.products(1))
        os.write(heard[1], b"x")

    writing = threading.Thread(target=write)
    writing.start()
    assert in_child(work) == "(0, True)"
    writing.join(10)
    for end in (*told, *heard):
        os.close(end)


def test_what_was_written_while_the_child_was_made(service: Service) -> None:
    """What the child inherited is served only once it listens: it may have been invalidated since the fork."""
    go = os.pipe()

    def work() -> object:
        os.read(go[0], 1)
        service.rows.values[1] = 3
        return service.product(1)

    def write() -> None:
        service.cache.blocking.invalidate(service.products(1))
        os.write(go[1], b"x")

    threading.Timer(0.2, write).start()
    assert in_child(work) == "3"
    for end in go:
        os.close(end)


@pytest.mark.parametrize("ending", ["exit", "os._exit", "kill"])
def test_the_end_of_a_child(service: Service, ending: str) -> None:
    """However a child ends, the parent's connections stay as they were."""

    connections = _connections(service)
    pid = os.fork()
    if pid == 0:
        try:
            service.product(1)
            if ending == "exit":
                service.cache.close()
                gc.collect()
            elif ending == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    found = service.product.lookup(2)
    assert found.stored
    service.cache.clear()
    assert service.product.lookup(2).tier is Tier.L2
    assert _connections(service) == connections


def _connections(service: Service) -> Any:
    """The connections that a process hears by."""
    return list(service.cache._host.shared.keeper._ears.values())


def _in_worker(connection: Any, service: Service) -> None:
    found = service.product.lookup(1)
    service.rows.values[1] = 8
    service.cache.blocking.invalidate(service.products(1))
    connection.send((found.value, str(found.tier), service.product(1)))


def test_multiprocessing(service: Service) -> None:
    """A worker that `multiprocessing` forked, and that ends as such a worker does, is a process like any other."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_in_worker, args=(theirs, service))
    worker.start()
    assert ours.poll(15)
    assert ours.recv() == (0, "l2", 8)
    worker.join(15)
    assert worker.exitcode == 0
    service.rows.values[1] = 8
    assert seen(service, 1, 8)
    ours.close()
    theirs.close()


def test_children_of_many_threads(service: Service) -> None:
    """Forks while other threads read, write and hear: no child hangs, and each reads what is right."""

    ends = threading.Event()

    def work(first: int) -> None:
        key = first
        while not ends.is_set():
            key += 1
            service.product(key)
            service.cache.blocking.invalidate(service.products(key), when_away="retry")

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            assert in_child(lambda: held(service, 1)) == "0"
    finally:
        ends.set()
        for thread in threads:
            thread.join()
