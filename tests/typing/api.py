"""What users see of the types. Never run: type checkers read it.

Whatever `assert_type` says here is part of the public contract, under both families of checkers.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any, assert_type
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from cacheaside import Cache, CacheStats, Contract, EndpointStats, Lookup, Source, Tag, TagFamily
from cacheaside.endpoint.api import (
    AsyncEndpoint,
    AsyncUsing,
    BlockingEndpoint,
    BlockingUsing,
)
from cacheaside.endpoint.changing import BlockingChange, Change
from cacheaside.warm import Progress, Warmed


class Locale(Enum):
    EN = "en"
    DE = "de"


class Product(msgspec.Struct, frozen=True):
    id: int
    category_id: int


class Handle:
    """A resource that users made themselves."""


@asynccontextmanager
async def open_async() -> AsyncIterator[Handle]:
    yield Handle()


@contextmanager
def open_blocking() -> Iterator[Handle]:
    yield Handle()


cache = Cache(namespace="shop", l1_entries=10_000, l1_bytes="64MiB")
minute = Contract("60s", grace="5m")
tenant: ContextVar[str] = ContextVar("tenant")

# Sources: what a load receives is what `open` opens, whoever wrote it.

awaited = cache.source("awaited", open=open_async, limit=8, timeout="10s")
blocking = cache.source("blocking", open=open_blocking)
orm = cache.source("orm", open=async_sessionmaker[AsyncSession]())
orm_blocking = cache.source("orm-blocking", open=sessionmaker[Session]())
lite = cache.source("lite", open=lambda: closing(sqlite3.connect("shop.db")))
assert_type(awaited, Source[Handle])
assert_type(blocking, Source[Handle])
assert_type(orm, Source[AsyncSession])
assert_type(orm_blocking, Source[Session])
assert_type(lite, Source[sqlite3.Connection])

# Tags: a family takes what it was declared with.

everything = cache.tag("catalogue")
products = cache.tag("products", int)
prices = cache.tag("prices", int, str)
stocks = cache.tag("stocks", UUID, int, str)
assert_type(everything, TagFamily[[]])
assert_type(products, TagFamily[[int]])
assert_type(prices, TagFamily[[int, str]])
assert_type(stocks, TagFamily[[UUID, int, str]])
assert_type(everything(), Tag)
assert_type(products(42), Tag)
assert_type(prices(42, "EUR"), Tag)


# Free functions, with and without a source, in both colours.


@cache.read(
    "product",
    minute,
    source=awaited,
    tags=lambda product_id: [products(product_id)],
    value_tags=lambda p: [everything()],
    version=2,
)
async def product(handle: Handle, product_id: int, locale: Locale = Locale.EN) -> Product:
    """One product."""
    return Product(product_id, 7)


@cache.read("product-blocking", minute, source=blocking, vary=tenant)
def product_blocking(handle: Handle, product_id: int, *, locale: Locale = Locale.EN) -> Product | None:
    return None


@cache.read("plain", Contract(60), ignore=["trace"], vary=[tenant, lambda key: key])
async def plain(key: str, trace: object = None) -> list[int]:
    return []


@cache.read("plain-blocking", Contract(ttl="1h", store=lambda value: bool(value)))
def plain_blocking(first: int, /, *rest: int, flag: bool = False, **more: str) -> dict[str, int]:
    return {}


@cache.read("orm-product", minute, source=orm)
async def orm_product(session: AsyncSession, product_id: int) -> Product:
    return Product(product_id, 7)


@cache.read("lite-product", minute, source=lite)
def lite_product(connection: sqlite3.Connection, product_id: int) -> Product:
    return Product(product_id, 7)


async def decorated_functions() -> None:
    assert_type(await product(42), Product)
    assert_type(await product(42, Locale.DE), Product)
    assert_type(await product(product_id=42, locale=Locale.DE), Product)
    assert_type(product_blocking(42), Product | None)
    assert_type(product_blocking(42, locale=Locale.DE), Product | None)
    assert_type(await plain("a"), list[int])
    assert_type(await plain(key="a", trace=1), list[int])
    assert_type(plain_blocking(1, 2, 3, flag=True, colour="red"), dict[str, int])
    assert_type(await orm_product(42), Product)
    assert_type(lite_product(42), Product)

    later: Callable[[int], Awaitable[Product]] = product
    at_once: Callable[[int], Product | None] = product_blocking
    async with asyncio.TaskGroup() as group:
        task = group.create_task(product(42))
        assert_type(await task, Product)
    assert_type(await asyncio.gather(product(1), plain("a")), tuple[Product, list[int]])
    assert_type(await later(42), Product)
    assert_type(at_once(42), Product | None)

    one: AsyncEndpoint[[str, object], list[int]] = plain
    two: BlockingEndpoint[[int], Product] = lite_product
    assert_type(one.__name__, str)
    assert_type(two.__name__, str)


async def asking_more() -> None:
    assert_type(await product.lookup(42), Lookup[Product])
    assert_type((await product.lookup(42, locale=Locale.DE)).value, Product)
    assert_type(await product.strong(42), Product)
    assert_type(await product.refresh(42), None)
    assert_type(await product.invalidate(42), None)
    assert_type(await product.purge(42), None)
    assert_type(product.key(42, Locale.DE), str)
    assert_type(await product.many([1, 2]), list[Product])
    assert_type(await product.many([(1, Locale.DE), {"product_id": 2}]), list[Product])
    assert_type(await product.many([1], return_exceptions=False), list[Product])
    assert_type(await product.many([1], return_exceptions=True), list[Product | BaseException])
    assert_type(await product.using(grace=0)(42), Product)
    assert_type(await product.using(ttl="1s", consistency="strong").lookup(42), Lookup[Product])

    assert_type(product_blocking.lookup(42), Lookup[Product | None])
    assert_type(product_blocking.strong(42), Product | None)
    assert_type(product_blocking.refresh(42), None)
    assert_type(product_blocking.invalidate(42), None)
    assert_type(product_blocking.purge(42), None)
    assert_type(product_blocking.key(42), str)
    assert_type(product_blocking.many([1]), list[Product | None])
    assert_type(product_blocking.many([1], return_exceptions=True), list[Product | BaseException | None])
    assert_type(product_blocking.using(grace="1m")(42), Product | None)
    assert_type(product_blocking.using(jitter=0.5).lookup(42), Lookup[Product | None])

    later: AsyncUsing[[int], Product] = orm_product.using(grace=0)
    now: BlockingUsing[[int], Product] = lite_product.using(grace=0)
    assert_type(await later(42), Product)
    assert_type(now(42), Product)


@product.batch
async def product_batch(handle: Handle, ids: list[tuple[int, Locale]]) -> dict[tuple[int, Locale], Product]:
    return {}


@lite_product.batch
def lite_batch(connection: sqlite3.Connection, ids: list[int]) -> list[Product | Exception]:
    return []


async def batch_loaders_stay_callable() -> None:
    assert_type(await product_batch(Handle(), []), dict[tuple[int, Locale], Product])
    assert_type(lite_batch(sqlite3.connect("shop.db"), [1]), list[Product | Exception])


# Methods: the instance is bound away, in the call and in everything else.


class Shop:
    tenant_id = 1

    @cache.read("shop-product", minute, source=awaited, vary=lambda self: self.tenant_id)
    async def product(self, handle: Handle, product_id: int, locale: Locale = Locale.EN) -> Product:
        return Product(product_id, 7)

    @product.batch
    async def _products(self, handle: Handle, ids: list[tuple[int, Locale]]) -> list[Product]:
        return []

    @cache.read("shop-price", minute, ignore=["self"])
    def price(self, product_id: int, *, currency: str = "EUR") -> float:
        return 1.0

    @cache.read("shop-stock", minute, ignore=["self"])
    async def stock(self, product_id: int) -> int:
        return 1

    @cache.read("shop-name", minute, source=blocking, ignore=["self"])
    def name(self, handle: Handle) -> str:
        return "shop"

    @staticmethod
    @cache.read("shop-tax", minute)
    async def tax(country: str) -> float:
        return 0.2


class Outlet(Shop):
    async def discounted(self, product_id: int) -> Product:
        return await super().product(product_id)


async def methods(shop: Shop, outlet: Outlet) -> None:
    assert_type(await shop.product(42), Product)
    assert_type(await shop.product(42, locale=Locale.DE), Product)
    assert_type(await shop.product.lookup(42), Lookup[Product])
    assert_type(await shop.product.using(grace=0)(42), Product)
    assert_type(await shop.product.many([(1, Locale.EN)]), list[Product])
    assert_type(await shop.product.invalidate(42), None)
    assert_type(shop.product.key(42), str)
    assert_type(shop.price(42, currency="USD"), float)
    assert_type(shop.price.lookup(42), Lookup[float])
    assert_type(shop.price.strong(42), float)
    assert_type(await shop.stock(42), int)
    assert_type(await shop.stock.lookup(product_id=42), Lookup[int])
    assert_type(shop.name(), str)
    assert_type(await Shop.tax("de"), float)
    assert_type(await outlet.product(42), Product)

    taken: AsyncEndpoint[[Shop, int], int] = Shop.stock
    other: BlockingEndpoint[[Shop], str] = Shop.name
    assert_type(await taken.lookup(shop, 42), Lookup[int])
    assert_type(other.lookup(shop), Lookup[str])


# Writes.


async def writes() -> None:
    assert_type(await cache.invalidate(products(42), everything()), None)
    assert_type(await cache.invalidate_all(), None)
    assert_type(cache.blocking.invalidate(products(42)), None)
    async with cache.changing(products(42)) as change:
        assert_type(change, Change)
        assert_type(await change.add(prices(42, "EUR")), None)
        assert_type(change.rolled_back(), None)
    with cache.changing(products(42)) as blocking_change:
        assert_type(blocking_change, BlockingChange)
        assert_type(blocking_change.add(prices(42, "EUR")), None)


# Reads without a decorator.


async def load_report() -> dict[str, int]:
    return {}


def load_report_blocking() -> dict[str, int]:
    return {}


async def inline(day: int) -> None:
    ten = Contract("10m")
    assert_type(await cache.get_or_load(("report", day), load_report, ten), dict[str, int])
    assert_type(await cache.get_or_load(("report", day), load_report_blocking, ten), dict[str, int])
    assert_type(
        await cache.get_or_load("report", load_report, ten, type=dict[str, int], tags=[products(42)]),
        dict[str, int],
    )
    assert_type(await cache.get_or_load("report", lambda: load_report(), ten), dict[str, int])
    assert_type(await cache.get_or_load("one", lambda: 1, ten), int)
    assert_type(cache.blocking.get_or_load("report", load_report_blocking, ten), dict[str, int])


# Warming up.


def told(now: Progress) -> bool:
    return now.done < 1000


async def warming() -> None:
    assert_type(cache.keep_heat("shop.heat", keys=1000, every="30s", half_life="1h"), None)
    report = await cache.warm(top=100, at_once=4, per_second=50, within="30s", progress=told)
    assert_type(report, Warmed)
    assert_type(report.unfit, Mapping[str, int])
    assert_type(await cache.warm([("product", (42,))], dry_run=True), Warmed)
    assert_type(cache.blocking.warm("launch.csv"), Warmed)
    assert_type(cache.start_slowly("30s", after=report), bool)


# Seeing and switching.


async def seeing() -> None:
    stats = cache.stats()
    assert_type(stats, CacheStats)
    one = stats.endpoints["product"]
    assert_type(one, EndpointStats)
    assert_type(one.hits, int)
    assert_type(one.misses["absent"], int)
    assert_type(one.loads_per_missed_key, float)
    assert_type(one.fill.p99_s, float)
    assert_type(stats.as_dict(), dict[str, Any])
    assert_type(cache.enabled, bool)
    assert_type(cache.disable(), None)
    assert_type(cache.enable(), None)
    async with Cache() as opened:
        assert_type(opened, Cache)
    with Cache() as opened_blocking:
        assert_type(opened_blocking, Cache)
