"""A process that used the blocking transport forks: the child begins anew, and the parent notices nothing."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cacheaside.testing.proxy import Proxy
from tests.stores.redis.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheaside.testing.servers import Server

CERTIFICATE = Path(__file__).parents[1] / "tls" / "certificate.pem"

START = """
import os, ssl, sys, threading
from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Limits, ServerAddress
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport

port, trusted = int(sys.argv[1]), sys.argv[2]
tls = ssl.create_default_context(cafile=trusted) if trusted else None
transport = BlockingTransport(limits=Limits(deadline_s=10, connect_s=10))
transport.use(Fleet((ServerAddress("127.0.0.1", port, tls=tls, tls_name="cache.test"),)))

def say(*words):
    return run_blocking(transport.execute([words]))[0]

def identities():
    return {say("CLIENT", "ID") for _ in range(50)}

popped = []
waiting = threading.Thread(target=lambda: popped.append(say("BLPOP", "forked", 0)))
waiting.start()
while b"blocked_clients:1" not in say("INFO", "clients"):
    pass
before = identities()
"""

FORK = (
    START
    + """
child = os.fork()
if child == 0:
    own = identities()
    transport.close()
    os._exit(0 if len(own) == 1 and own != before else 3)
while_child = identities()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
after = identities()
say("LPUSH", "forked", "x")
waiting.join()
transport.close()
print(status, while_child == after == before, popped)
"""
)

LIVING_CHILD = (
    START
    + """
release, hold = os.pipe()
if os.fork() == 0:
    os.close(hold)
    os.read(release, 1)
    os._exit(0)
os.close(release)
transport.use(Fleet((ServerAddress("127.0.0.1", 1),)))
print(*before, flush=True)
sys.stdin.read()
"""
)


@pytest.fixture(params=["plain", "tls"])
def way_in(request: pytest.FixtureRequest, server: Server) -> Iterator[list[str]]:
    """The port and the trusted certificate."""
    if request.param == "plain":
        yield [str(server.port), ""]
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
    with Proxy(server.address, tls=context) as proxy:
        yield [str(proxy.port), str(CERTIFICATE)]


def command(script: str, way_in: list[str]) -> list[str]:
    # Newer Pythons warn of any fork beside threads; that it is safe is what is tested here.
    return [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script, *way_in]


def test_a_child_has_connections_of_its_own(way_in: list[str]) -> None:
    """The child connects anew; the parent goes on over the connections it had, the one in use included."""
    done = subprocess.run(command(FORK, way_in), capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 True [[b'forked', b'x']]\n", "")


def test_a_child_does_not_hold_its_parents_connections(way_in: list[str], server: Server) -> None:
    """When the parent closes, the server sees it, although a child made by fork lives on."""
    with subprocess.Popen(
        command(LIVING_CHILD, way_in),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the thread whose connection is closed says so
        text=True,
    ) as process:
        assert process.stdout is not None
        identity = process.stdout.readline().strip()
        wait_for(lambda: f"id={identity} " not in server.ask("CLIENT", "LIST"))
        wait_for(lambda: "blocked_clients:0" in server.ask("INFO", "clients"))
        process.communicate("", timeout=30)
