"""What one entry takes on the server: 200 bytes under an integer key, stored by calls of a decorated function.

The growth of the server's used memory over all entries, with no client connected but the one who asks. The payload is
the value in msgspec's msgpack: a larger encoding, the key, and whatever else a cache keeps for an entry (its tags'
generations, for one) count as overhead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.interleaved import require
from bench.rows import OURS, TASKS, THREADS
from bench.shared import handwritten, peers
from bench.shared.crowd import Crowd
from bench.shared.figures import figure
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process
from bench.shared.rows import ONE_GET, EntryBytesRow
from bench.shared.source import Source
from bench.shared.values import SIZES
from cacheaside.testing.servers import Server
from cacheaside.testing.servers.server import wait_until

SECTION = "entry_bytes"
SIZE = SIZES[0]
TTL_S = 3_600.0
CALLERS = 20
ALONE_S_MAX = 5.0

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("reading_l2")),
    SharedPeer(f"{OURS}, 1 tag an entry", TASKS, peers.ours("tagged")),
    SharedPeer(ONE_GET, TASKS, handwritten.one_get),
    SharedPeer("cashews", TASKS, peers.cashews),
    SharedPeer("aiocache", TASKS, peers.aiocache),
    SharedPeer("fastapi-cache2", TASKS, peers.fastapi_cache),
    SharedPeer("dogpile.cache", THREADS, peers.dogpile),
    SharedPeer("django-redis", THREADS, peers.django_redis),
]


class Work:
    def __init__(self, peer: SharedPeer, url: str) -> None:
        self.crowd = Crowd(peer.kind)
        self.source = Source(peer.kind)
        self._read = self.crowd.reading(peer.decorate(url, self.source.loader(SIZE), TTL_S))

    async def fill(self, first: int, end: int) -> int:
        """Read the keys from `first` to `end`; the loads so far."""

        async def caller(number: int) -> None:
            for k in range(first + number, end, CALLERS):
                await self._read(k)

        await self.crowd.run([partial(caller, number) for number in range(CALLERS)])
        return self.source.loads


def rows(entries: int, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[EntryBytesRow]:
    found = []
    for peer in PEERS:
        if wanted(peer.name):
            progress(f"memory of a server for {entries:,} entries, {peer.name}")
            taken = _taken(peer, entries)
            found.append(EntryBytesRow(peer.name, peer.kind, entries, SIZE, taken, taken - SIZE))
    return found


def _taken(peer: SharedPeer, entries: int) -> float:
    """Bytes for each entry."""
    with Server() as server:
        before = used_bytes(server)
        with Process(SECTION, peer, server.url) as process:
            loads = process.do("fill", first=0, end=entries)
        require(loads == entries, f"{peer.name}: {loads} loads for {entries} entries")
        return (used_bytes(server) - before) / entries


def used_bytes(server: Server) -> int:
    """The server's used memory, once nobody is connected any more."""
    wait_until(
        lambda: figure(server, "clients", "connected_clients") == 1, "no client is connected", ALONE_S_MAX
    )
    return figure(server, "memory", "used_memory")
