"""Rows of an L1 hit: the floors, cacheaside in its variants, and the other caches."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bench import ours
from bench.interleaved import Calls, Case, Ready, require
from bench.peers import ASYNC_PEERS, SYNC_PEERS, AsyncPeer, SyncPeer
from bench.rows import EMPTY_LOOP, Table
from bench.views import LANGUAGE, VIEW, View

ENTRIES = 10_000
FILLED = 1_000
"""Other keys in the cache when the hits are timed: enough that nothing is an empty-table special case."""

AWAIT = Table("hit", "await, L1 hit", floor="trivial coroutine", is_async=True)
CALL = Table("hit", "call, L1 hit", floor="functools.lru_cache", is_async=False)


def cases() -> list[Case]:
    return [
        *_await_floors(),
        *ours.hit_cases(AWAIT, ENTRIES, FILLED),
        *(_await_peer(peer) for peer in ASYNC_PEERS),
        *_call_floors(),
        *ours.hit_cases(CALL, ENTRIES, FILLED),
        *(_call_peer(peer) for peer in SYNC_PEERS),
    ]


def _floor(table: Table, name: str, statement: str, build: Callable[[], dict[str, Any]]) -> Case:
    return Case(table, name, statement, lambda: Ready(build(), Calls(), 0))


def _await_floors() -> list[Case]:
    async def one(_k: int) -> View:
        return VIEW

    async def two(_k: int, _language: str = LANGUAGE) -> View:
        return VIEW

    class Service:
        async def product(self, _k: int) -> View:
            return VIEW

    return [
        _floor(AWAIT, EMPTY_LOOP, "pass", dict),
        _floor(AWAIT, "trivial coroutine", "await f(k)", lambda: {"f": one, "k": 42}),
        _floor(AWAIT, "trivial coroutine, 2 arguments", "await f(k)", lambda: {"f": two, "k": 42}),
        _floor(AWAIT, "trivial coroutine, method", "await s.product(k)", lambda: {"s": Service(), "k": 42}),
    ]


def _call_floors() -> list[Case]:
    def one(_k: int) -> View:
        return VIEW

    def two(_k: int, _language: str = LANGUAGE) -> View:
        return VIEW

    def filled(function: Callable[..., View]) -> Callable[..., View]:
        for k in range(FILLED):
            function(k)
        return function

    class Service:
        @lru_cache(maxsize=ENTRIES)  # noqa: B019  the service lives as long as the benchmark
        def product(self, _k: int) -> View:
            return VIEW

    return [
        _floor(CALL, EMPTY_LOOP, "pass", dict),
        _floor(CALL, "trivial function", "f(k)", lambda: {"f": one, "k": 42}),
        _floor(CALL, "functools.lru_cache", "f(k)", lambda: {"f": filled(lru_cache(ENTRIES)(one)), "k": 42}),
        _floor(
            CALL,
            "functools.lru_cache, typed=True",
            "f(k)",
            lambda: {"f": filled(lru_cache(ENTRIES, typed=True)(one)), "k": 42},
        ),
        _floor(
            CALL,
            "functools.lru_cache, 2 arguments",
            "f(k, language)",
            lambda: {"f": filled(lru_cache(ENTRIES)(two)), "k": 42, "language": LANGUAGE},
        ),
        _floor(CALL, "functools.lru_cache, method", "s.product(k)", lambda: {"s": Service(), "k": 42}),
    ]


def _await_peer(peer: AsyncPeer) -> Case:
    async def prepare() -> Ready:
        loads = Calls()

        async def load(k: int) -> View:
            loads.count += 1
            return VIEW

        cached = peer.decorate(load, ENTRIES)
        for k in range(FILLED):
            await cached(k)
        answer = await cached(42)
        require(answer == VIEW and loads.count == FILLED, f"{peer.name}: {answer} after {loads.count} loads")
        await cached(1)
        before = loads.count
        await cached(True)
        return Ready({"f": cached, "k": 42}, loads, 0, told_apart(loads.count > before))

    return Case(AWAIT, peer.name, "await f(k)", prepare)


def _call_peer(peer: SyncPeer) -> Case:
    def prepare() -> Ready:
        loads = Calls()

        def load(k: int) -> View:
            loads.count += 1
            return VIEW

        cached = peer.decorate(load, ENTRIES)
        for k in range(FILLED):
            cached(k)
        answer = cached(42)
        require(answer == VIEW and loads.count == FILLED, f"{peer.name}: {answer} after {loads.count} loads")
        before = loads.count
        cached(True)
        return Ready({"f": cached, "k": 42}, loads, 0, told_apart(loads.count > before))

    return Case(CALL, peer.name, "f(k)", prepare)


def told_apart(loaded: bool) -> str:
    """What a row says about True and 1, which are equal and hash alike."""
    return "" if loaded else "answers f(True) with f(1)"
