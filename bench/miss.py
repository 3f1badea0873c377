"""Rows of a miss, end to end: the key is not there, a trivial loader runs, the value is stored.

"room" has space for every key that is timed. "full" holds 1,000 entries when the timing starts, so that every miss
evicts one; caches that never evict are left out of it.
"""

from __future__ import annotations

from itertools import count

from bench import ours
from bench.interleaved import Calls, Case, Ready, require
from bench.peers import ASYNC_PEERS, SYNC_PEERS, AsyncPeer, SyncPeer
from bench.rows import EMPTY_LOOP, Table
from bench.views import VIEW, View

ROOM = 1_000_000
FULL = 1_000

FASTEST = "cachebox"
"""The floor of these tables: a bare loader would make ratios of thousands that say nothing."""
TRIVIAL = "the loader alone"

AWAIT_ROOM = Table("miss", "await, miss with room left", floor=FASTEST, is_async=True)
AWAIT_FULL = Table("miss", "await, miss that evicts", floor=FASTEST, is_async=True)
CALL_ROOM = Table("miss", "call, miss with room left", floor=FASTEST, is_async=False)
CALL_FULL = Table("miss", "call, miss that evicts", floor=FASTEST, is_async=False)


def cases() -> list[Case]:
    rows: list[Case] = []
    for table, entries in ((AWAIT_ROOM, ROOM), (AWAIT_FULL, FULL)):
        rows += [*_floors(table), *ours.miss_cases(table, entries, FULL)]
        rows += [_await(table, peer, entries) for peer in ASYNC_PEERS if peer.bounded or entries == ROOM]
    for table, entries in ((CALL_ROOM, ROOM), (CALL_FULL, FULL)):
        rows += [*_floors(table), *ours.miss_cases(table, entries, FULL)]
        rows += [_call(table, peer, entries) for peer in SYNC_PEERS if peer.bounded or entries == ROOM]
    return rows


def _floors(table: Table) -> list[Case]:
    async def trivial_coroutine(_k: int) -> View:
        return VIEW

    def trivial_function(_k: int) -> View:
        return VIEW

    trivial = trivial_coroutine if table.is_async else trivial_function
    statement = f"{'await ' if table.is_async else ''}f(next(keys))"
    return [
        Case(table, EMPTY_LOOP, "next(keys)", lambda: Ready({"keys": count(1)}, Calls(), 0)),
        Case(table, TRIVIAL, statement, lambda: Ready({"f": trivial, "keys": count(1)}, Calls(), 0)),
    ]


def _await(table: Table, peer: AsyncPeer, entries: int) -> Case:
    async def prepare() -> Ready:
        loads = Calls()

        async def load(_k: int) -> View:
            loads.count += 1
            return VIEW

        cached = peer.decorate(load, entries)
        for k in range(FULL):
            answer = await cached(k)
        require(answer == VIEW and loads.count == FULL, f"{peer.name}: {answer} after {loads.count} loads")
        return Ready({"f": cached, "keys": count(FULL)}, loads, 1)

    return Case(table, peer.name, "await f(next(keys))", prepare)


def _call(table: Table, peer: SyncPeer, entries: int) -> Case:
    def prepare() -> Ready:
        loads = Calls()

        def load(_k: int) -> View:
            loads.count += 1
            return VIEW

        cached = peer.decorate(load, entries)
        for k in range(FULL):
            answer = cached(k)
        require(answer == VIEW and loads.count == FULL, f"{peer.name}: {answer} after {loads.count} loads")
        return Ready({"f": cached, "keys": count(FULL)}, loads, 1)

    return Case(table, peer.name, "f(next(keys))", prepare)
