"""One transport for a whole process: several loops, threads, forks, and callers' context."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import ssl
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.testing.proxy import Proxy
from tests.stores.redis.conftest import PATIENT, ask, connected, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server

TLS = Path(__file__).parents[1] / "tls"
caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


def test_loops_in_threads_have_connections_of_their_own(server: Server) -> None:
    """Two loops in two threads use one transport at the same time, each over its own connection."""
    transport = AioTransport(ServerAddress(*server.address), limits=PATIENT)
    together = threading.Barrier(2)
    found: dict[int, tuple[int, list[bytes]]] = {}

    async def work(number: int) -> None:
        identity = await ask(transport, "CLIENT", "ID")
        await asyncio.to_thread(together.wait, 20)
        names = [f"{number}:{n}" for n in range(2000)]
        found[number] = identity, await asyncio.gather(*(ask(transport, "ECHO", name) for name in names))
        await transport.aclose()

    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(2)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {number: answers for number, (_, answers) in found.items()} == {
        number: [b"%d:%d" % (number, n) for n in range(2000)] for number in range(2)
    }
    assert found[0][0] != found[1][0]


def test_one_loop_after_another(server: Server) -> None:
    """A transport outlives the loop that it was first used on, and forgets loops that are closed."""
    transport = AioTransport(ServerAddress(*server.address), limits=PATIENT)

    async def use() -> Any:
        answer = await ask(transport, "PING")
        await transport.link().aclose()
        return answer

    for _ in range(3):
        assert asyncio.run(use()) == b"PONG"
        assert len(transport._links) == 1


@pytest.fixture(params=["plain", "tls"])
def address(request: pytest.FixtureRequest, server: Server) -> Iterator[tuple[Proxy, ServerAddress]]:
    """The way to the server, in plain text and encrypted."""
    context = None
    if request.param == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    trusting = ssl.create_default_context(cafile=TLS / "certificate.pem") if context is not None else None
    with Proxy(server.address, tls=context) as proxy:
        yield proxy, ServerAddress(*proxy.address, tls=trusting, tls_name="cache.test")


@pytest.fixture
def uncollected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is collected as garbage meanwhile; what is collected after complains of nothing."""
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        gc.enable()
    assert [str(one.message) for one in caught] == []
    assert caplog.messages == []


def test_of_a_loop_that_was_closed_nothing_is_left(
    address: tuple[Proxy, ServerAddress], uncollected: None
) -> None:
    """Its connection is ended by whoever comes next, and not when chance has the garbage collected."""
    proxy, where = address
    transport = AioTransport(where, limits=PATIENT)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(ask(transport, "PING")) == b"PONG"
    assert proxy.connections == 1
    loop.close()
    transport.sweep()
    wait_for(lambda: not proxy.connections)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_loop_that_was_closed_before_it_was_connected(
    server: Server, uncollected: None, steps: int
) -> None:
    """An attempt that its loop will never go on with is forgotten without complaints, however far it came."""
    transport = AioTransport(ServerAddress(*server.address), limits=PATIENT)
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: transport.link().begin())
    for _ in range(steps + 1):
        loop.call_soon(loop.stop)
        loop.run_forever()
    ((link, attempt),) = [(link, link._attempt) for link in transport._links.values()]
    assert attempt is not None
    del attempt
    loop.close()
    transport.sweep()
    del link


async def test_a_closed_link_refuses_and_a_closed_transport_begins_anew(server: Server) -> None:
    """What was closed sends nothing more; a call after `aclose` makes a connection of its own."""
    transport = AioTransport(ServerAddress(*server.address), limits=PATIENT)
    link = transport.link()
    await ask(transport, "PING")
    await transport.aclose()
    with pytest.raises(ConnectionAway) as raised:
        await link.execute([("PING",)])
    assert raised.value.reason is Away.CLOSED
    assert await ask(transport, "PING") == b"PONG"
    await transport.aclose()


async def test_no_callers_context_is_kept(server: Server) -> None:
    """What runs behind the callers runs in none of their contexts, the first caller's included."""
    seen: list[str] = []
    caller.set("the first")
    async with connected(server.address, on_push=lambda _: seen.append(caller.get())) as transport:
        await ask(transport, "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "context:")
        await asyncio.to_thread(server.ask, "SET", "context:1", 1)
        await ask(transport, "PING")
    assert seen == ["nobody"]


FORK = """
import asyncio, os, sys
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport

transport = AioTransport(ServerAddress("127.0.0.1", int(sys.argv[1])), limits=Limits(deadline_s=10, connect_s=10))

async def identity():
    return (await transport.execute([("CLIENT", "ID")]))[0]

async def in_child():
    ids = {await identity() for _ in range(100)}
    await transport.aclose()
    return ids

loop = asyncio.new_event_loop()
before = loop.run_until_complete(identity())
child = os.fork()
if child == 0:
    (own,) = asyncio.run(in_child())
    os._exit(0 if own != before else 3)
after = {loop.run_until_complete(identity()) for _ in range(100)}
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
after |= {loop.run_until_complete(identity()) for _ in range(100)}
loop.run_until_complete(transport.aclose())
loop.close()
print(status, after == {before})
"""


def test_a_child_has_a_connection_of_its_own(server: Server) -> None:
    """After a fork the child connects anew, and the parent goes on over the connection it had."""
    command = [sys.executable, "-W", "error", "-c", FORK, str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 True\n", "")


def test_a_child_does_not_hold_its_parents_connection(server: Server) -> None:
    """When the parent closes, the server sees it, although a child made by fork lives on."""
    script = FORK.partition("child = os.fork()")[0] + (
        """
release, hold = os.pipe()
if os.fork() == 0:
    os.close(hold)
    os.read(release, 1)
    os._exit(0)
os.close(release)
loop.run_until_complete(transport.aclose())
print(before, flush=True)
sys.stdin.read()
"""
    )
    command = [sys.executable, "-c", script, str(server.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        identity = int(process.stdout.readline())
        pause = threading.Event()
        for _ in range(1000):
            listed = [line for line in server.ask("CLIENT", "LIST").splitlines() if f"id={identity} " in line]
            if not listed:
                break
            pause.wait(0.01)
        assert listed == []
        process.communicate("", timeout=30)
