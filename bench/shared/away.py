"""Reads while the server refuses connections, and while it hangs: how much longer they take than their own load.

Every read is of a key that nobody holds, and its load takes 10 ms. The first read finds out that the server is away;
the later ones, one after the other, show whether anything was learnt from it. A read that takes longer than 5 s is
left to itself. Every cache has been used before the server went away.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from bench.rows import OURS, TASKS, THREADS
from bench.shared import handwritten, peers
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process, all_at_once
from bench.shared.quantiles import quantile
from bench.shared.rows import ONE_GET, AwayRow
from bench.shared.source import Source, settled
from bench.shared.values import SIZES, product
from cacheaside.testing.servers import Server

SECTION = "away"
REFUSED = "server refuses"
HUNG = "server hangs"
LOAD_S = 0.01
TTL_S = 3_600.0
LIMIT_S = 5.0
SIZE = SIZES[0]

PEERS = [
    SharedPeer(OURS, TASKS, peers.ours("decorate")),
    SharedPeer(OURS, THREADS, peers.ours("decorate")),
    SharedPeer(ONE_GET, TASKS, handwritten.one_get),
    SharedPeer(ONE_GET, THREADS, handwritten.one_get_sync),
    SharedPeer("cashews", TASKS, peers.cashews),
    SharedPeer("cashews, lock=True", TASKS, partial(peers.cashews, lock=True)),
    SharedPeer("aiocache", TASKS, peers.aiocache),
    SharedPeer("aiocache, cached_stampede", TASKS, partial(peers.aiocache, stampede=True)),
    SharedPeer("fastapi-cache2", TASKS, peers.fastapi_cache),
    SharedPeer("dogpile.cache", THREADS, peers.dogpile),
    SharedPeer("django-redis", THREADS, peers.django_redis),
    SharedPeer(
        "django-redis, IGNORE_EXCEPTIONS", THREADS, partial(peers.django_redis, IGNORE_EXCEPTIONS=True)
    ),
]


class Work:
    def __init__(self, peer: SharedPeer, url: str) -> None:
        self.kind = peer.kind
        self.source = Source(peer.kind, LOAD_S)
        self._cached = peer.decorate(url, self.source.loader(SIZE), TTL_S)
        self._left: list[Any] = []
        self._key = 0

    async def warm(self) -> None:
        """One key is read until it needs no load."""

        async def once() -> None:
            (_, value) = await (self._task(0) if self.kind == TASKS else self._thread(0))
            if isinstance(value, Exception):
                raise value

        await settled(once, lambda: self.source.loads)

    async def read(self) -> dict[str, Any]:
        """One read of a new key: seconds beyond its load, None when it took too long; and whether it failed."""
        self._key += 1
        key = self._key
        answer = self._task(key) if self.kind == TASKS else self._thread(key)
        self._left.append(answer)  # one that takes too long goes on, and is neither cancelled nor collected
        await asyncio.wait([answer], timeout=LIMIT_S)
        if not answer.done():
            return {"beyond_s": None, "failed": False}
        taken_s, value = answer.result()
        beyond_s = taken_s - self.source.taken_s.get(key, 0.0)
        failed = value != product(key, SIZE)
        return {"beyond_s": beyond_s if beyond_s < LIMIT_S else None, "failed": failed}

    async def read_for(self, seconds: float) -> list[dict[str, Any]]:
        """Reads one after the other, at least one, until `seconds` have gone by."""
        end = time.perf_counter() + seconds
        found = [await self.read()]
        while time.perf_counter() < end:
            found.append(await self.read())
        return found

    def _task(self, key: int) -> asyncio.Future[tuple[float, Any]]:
        async def call() -> tuple[float, Any]:
            started = time.perf_counter()
            try:
                value = await self._cached(key)
            except Exception as error:  # noqa: BLE001  whatever a cache raises is the finding
                value = error
            return time.perf_counter() - started, value

        return asyncio.ensure_future(call())

    def _thread(self, key: int) -> asyncio.Future[tuple[float, Any]]:
        answer: Future[tuple[float, Any]] = Future()

        def call() -> None:
            started = time.perf_counter()
            try:
                value = self._cached(key)
            except Exception as error:  # noqa: BLE001  whatever a cache raises is the finding
                value = error
            answer.set_result((time.perf_counter() - started, value))

        threading.Thread(target=call, daemon=True).start()
        return asyncio.wrap_future(answer)


def rows(later_s: float, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[AwayRow]:
    """cacheaside's cases one after the other; those of the peers, which mostly wait, all at once."""
    cases = [(event, peer) for event in (REFUSED, HUNG) for peer in PEERS if wanted(peer.name)]
    found = {}
    for event, peer in cases:
        if peer.name == OURS:
            progress(f"{event}, {peer.name}, {peer.kind}")
            found[event, peer] = _case(event, peer, later_s)
    others = [case for case in cases if case not in found]
    progress(f"server away, {len(others)} cases of other caches")
    done = all_at_once([partial(_case, event, peer, later_s) for event, peer in others])
    found |= dict(zip(others, done, strict=True))
    return [found[case] for case in cases]


def _case(event: str, peer: SharedPeer, later_s: float) -> AwayRow:
    with Server() as server, Process(SECTION, peer, server.url) as process:
        process.do("warm")
        if event == REFUSED:
            server.kill()
        else:
            server.freeze()
        return as_row(event, peer, process.do("read"), process.do("read_for", seconds=later_s))


def as_row(event: str, peer: SharedPeer, first: dict[str, Any], later: Sequence[dict[str, Any]]) -> AwayRow:
    beyond = sorted(
        float("inf") if read["beyond_s"] is None else max(0.0, read["beyond_s"]) for read in later
    )

    def within(seconds: float) -> float | None:
        return None if seconds == float("inf") else seconds

    return AwayRow(
        name=peer.name,
        kind=peer.kind,
        event=event,
        first_s=first["beyond_s"],
        later_p50_s=within(quantile(beyond, 0.5)),
        later_p99_s=within(quantile(beyond, 0.99)),
        later_worst_s=within(beyond[-1]),
        later_calls=len(later),
        errors=sum(read["failed"] for read in (first, *later)),
        limit_s=LIMIT_S,
    )
