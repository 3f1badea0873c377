"""cacheaside's own rows, declared as its users would declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from bench.interleaved import Calls, Case, Ready, require
from bench.peers import TTL_S, AsyncLoad, AsyncPeer, SyncLoad, SyncPeer
from bench.rows import OURS, Table
from bench.views import BASKET, LANGUAGE, PRICES, VIEW, Basket, View
from cacheaside import Cache, Contract

CONTRACT = Contract(ttl=TTL_S)
L1_BYTES = "4GiB"
"""Beyond what any row stores, so that the bound by entries is the one that counts."""

Build = Callable[[Cache, Calls], Mapping[str, Any]]
"""Declares an endpoint whose loader counts; returns what the statement names: `f` or `s`, and its arguments."""


def fresh_cache(entries: int) -> Cache:
    return Cache(namespace="bench", l1_entries=entries, l1_bytes=L1_BYTES)


def async_peers() -> list[AsyncPeer]:
    def decorate(load: AsyncLoad, entries: int) -> AsyncLoad:
        cached: AsyncLoad = fresh_cache(entries).read("product", CONTRACT)(load)
        return cached

    return [AsyncPeer(OURS, decorate)]


def sync_peers() -> list[SyncPeer]:
    def decorate(load: SyncLoad, entries: int) -> SyncLoad:
        cached: SyncLoad = fresh_cache(entries).read("product", CONTRACT)(load)
        return cached

    return [SyncPeer(OURS, decorate)]


# A hit.


def hit_cases(table: Table, entries: int, filled: int) -> list[Case]:
    """The variants of a hit. Every one has other entries around it, and its value is compared."""
    variants: list[tuple[str, str, object, Build]] = [
        (OURS, "f(k)", VIEW, _one_async if table.is_async else _one),
        (f"{OURS}, keyword call", "f(k=k)", VIEW, _one_async if table.is_async else _one),
        (f"{OURS}, 2 arguments, 1 by default", "f(k)", VIEW, _two_async if table.is_async else _two),
        (f"{OURS}, 2 arguments", "f(k, language)", VIEW, _two_async if table.is_async else _two),
        (f"{OURS}, 3 arguments, 2 by default", "f(k)", VIEW, _three_async if table.is_async else _three),
        (f"{OURS}, method", "s.product(k)", VIEW, _method_async if table.is_async else _method),
        (
            f"{OURS}, mutable, of immutable fields",
            "f(k)",
            PRICES,
            _prices_async if table.is_async else _prices,
        ),
        (f"{OURS}, mutable, with a list in it", "f(k)", BASKET, _basket_async if table.is_async else _basket),
    ]
    awaited = "await " if table.is_async else ""
    return [
        _hit(table, name, awaited + call, expected, build, entries, filled)
        for name, call, expected, build in variants
    ]


def _hit(
    table: Table, name: str, statement: str, expected: object, build: Build, entries: int, filled: int
) -> Case:
    loads = Calls()

    def declared() -> tuple[Callable[..., Any], Mapping[str, Any]]:
        names = build(fresh_cache(entries), loads)
        return names["f"] if "f" in names else names["s"].product, {**names, "k": 42}

    def ready(first: object, again: object, names: Mapping[str, Any]) -> Ready:
        require(first == again == expected, f"{name}: {first!r}, then {again!r}, expected {expected!r}")
        require(loads.count == filled, f"{name}: {loads.count} loads for {filled} keys")
        require(
            isinstance(expected, View) or first is not again, f"{name}: two callers share a mutable value"
        )
        return Ready(names, loads, 0)

    async def prepare_async() -> Ready:
        f, names = declared()
        for k in range(filled):
            await f(k)
        return ready(await f(42), await f(42), names)

    def prepare() -> Ready:
        f, names = declared()
        for k in range(filled):
            f(k)
        return ready(f(42), f(42), names)

    return Case(table, name, statement, prepare_async if table.is_async else prepare)


def _one_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    async def product(k: int) -> View:
        loads.count += 1
        return VIEW

    return {"f": product}


def _one(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    def product(k: int) -> View:
        loads.count += 1
        return VIEW

    return {"f": product}


def _two_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    async def product(k: int, language: str = LANGUAGE) -> View:
        loads.count += 1
        return VIEW

    return {"f": product, "language": LANGUAGE}


def _two(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    def product(k: int, language: str = LANGUAGE) -> View:
        loads.count += 1
        return VIEW

    return {"f": product, "language": LANGUAGE}


def _three_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    async def product(k: int, language: str = LANGUAGE, sold_out: bool = False) -> View:
        loads.count += 1
        return VIEW

    return {"f": product}


def _three(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("product", CONTRACT)
    def product(k: int, language: str = LANGUAGE, sold_out: bool = False) -> View:
        loads.count += 1
        return VIEW

    return {"f": product}


def _method_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    class Service:
        @cache.read("product", CONTRACT, ignore=["self"])
        async def product(self, k: int) -> View:
            loads.count += 1
            return VIEW

    return {"s": Service()}


def _method(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    class Service:
        @cache.read("product", CONTRACT, ignore=["self"])
        def product(self, k: int) -> View:
            loads.count += 1
            return VIEW

    return {"s": Service()}


def _prices_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("prices", CONTRACT)
    async def prices(k: int) -> dict[str, int]:
        loads.count += 1
        return PRICES

    return {"f": prices}


def _prices(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("prices", CONTRACT)
    def prices(k: int) -> dict[str, int]:
        loads.count += 1
        return PRICES

    return {"f": prices}


def _basket_async(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("basket", CONTRACT)
    async def basket(k: int) -> Basket:
        loads.count += 1
        return BASKET

    return {"f": basket}


def _basket(cache: Cache, loads: Calls) -> Mapping[str, Any]:
    @cache.read("basket", CONTRACT)
    def basket(k: int) -> Basket:
        loads.count += 1
        return BASKET

    return {"f": basket}


# A miss.


def miss_cases(table: Table, entries: int, filled: int) -> list[Case]:
    """A miss end to end, without tags and with one."""
    return [
        _miss(table, OURS, entries, filled, tagged=False),
        _miss(table, f"{OURS}, 1 tag an entry", entries, filled, tagged=True),
    ]


def _miss(table: Table, name: str, entries: int, filled: int, *, tagged: bool) -> Case:
    loads = Calls()

    async def load_async(k: int) -> View:
        loads.count += 1
        return VIEW

    def load(k: int) -> View:
        loads.count += 1
        return VIEW

    def declared(loader: Callable[..., Any]) -> Callable[..., Any]:
        cache = fresh_cache(entries)
        products = cache.tag("products", int)
        cached: Callable[..., Any] = cache.read(
            "product", CONTRACT, tags=(lambda k: [products(k)]) if tagged else ()
        )(loader)
        return cached

    def ready(answer: object, f: Callable[..., Any]) -> Ready:
        require(answer == VIEW and loads.count == filled, f"{name}: {answer!r} after {loads.count} loads")
        return Ready({"f": f, "keys": count(filled)}, loads, 1)

    async def prepare_async() -> Ready:
        f = declared(load_async)
        for k in range(filled - 1):
            await f(k)
        return ready(await f(filled - 1), f)

    def prepare() -> Ready:
        f = declared(load)
        for k in range(filled - 1):
            f(k)
        return ready(f(filled - 1), f)

    if table.is_async:
        return Case(table, name, "await f(next(keys))", prepare_async)
    return Case(table, name, "f(next(keys))", prepare)


# Memory.


def memory_endpoint(entries: int, tags: int, value: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A filled endpoint holds `entries` values, each under `tags` tags: one of its own, and up to two shared."""
    cache = fresh_cache(entries)
    products = cache.tag("products", int)
    categories = cache.tag("categories", int)
    suppliers = cache.tag("suppliers", int)

    def tags_of(k: int) -> list[Any]:
        return [products(k), categories(k % 1_000), suppliers(k % 100)][:tags]

    @cache.read("product", CONTRACT, tags=tags_of if tags else ())
    def product(k: int) -> bytes:
        return value(k)

    return product
