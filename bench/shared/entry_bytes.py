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
from bench.shared.processes import Process, all_at_once
from bench.shared.rows import ONE_GET, EntryBytesRow
from bench.shared.source import Source, settled
from bench.shared.values import SIZES
from cacheaside.testing.servers import Server
from cacheaside.testing.servers.server import wait_until

SECTION = "entry_bytes"
SIZE = SIZES[0]
TTL_S = 3_600.0
CALLERS = 20
CHECKED_EACH = 10
"""Of so many entries one is read again after the filling, and must need no load."""
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

    async def fill(self, entries: int) -> int:
        """Read as many keys, each once; the loads that took."""
        await settled(lambda: self._read(0), lambda: self.source.loads)
        loads = self.source.loads
        await self._read_keys(1, entries)
        return self.source.loads - loads + 1

    async def check(self, entries: int) -> int:
        """Read some of them again; the loads that took."""
        loads = self.source.loads
        await self._read_keys(CHECKED_EACH, entries)
        return self.source.loads - loads

    async def _read_keys(self, step: int, end: int) -> None:
        async def caller(number: int) -> None:
            for k in range(number * step, end, CALLERS * step):
                await self._read(k)

        await self.crowd.run([partial(caller, number) for number in range(CALLERS)])


def rows(entries: int, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[EntryBytesRow]:
    """cacheaside's one after the other; those of the other caches, which nothing is timed in either, all at once."""
    chosen = [peer for peer in PEERS if wanted(peer.name)]
    progress(f"memory of {len(chosen)} servers for {entries:,} entries each")
    taken = {peer: _taken(peer, entries) for peer in chosen if peer.name.startswith(OURS)}
    others = [peer for peer in chosen if peer not in taken]
    taken |= zip(others, all_at_once([partial(_taken, peer, entries) for peer in others]), strict=True)
    return [
        EntryBytesRow(peer.name, peer.kind, entries, SIZE, taken[peer], taken[peer] - SIZE) for peer in chosen
    ]


def _taken(peer: SharedPeer, entries: int) -> float:
    """Bytes for each entry."""
    with Server() as server:
        before = used_bytes(server)
        with Process(SECTION, peer, server.url) as process:
            loads = process.do("fill", entries=entries)
            again = process.do("check", entries=entries)
        require(
            (loads, again) == (entries, 0),
            f"{peer.name}: {loads} loads for {entries} entries, then {again} more",
        )
        return (used_bytes(server) - before) / entries


def used_bytes(server: Server) -> int:
    """The server's used memory, once nobody is connected any more."""
    wait_until(
        lambda: figure(server, "clients", "connected_clients") == 1, "no client is connected", ALONE_S_MAX
    )
    return figure(server, "memory", "used_memory")
