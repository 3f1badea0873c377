# pyright: reportUnnecessaryTypeIgnoreComment=true
"""Mistakes that type checkers must find. Never run.

Each is suppressed by the name under which each family of checkers reports it, so that one which no longer finds it
complains about a needless suppression.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cacheaside import Cache, Contract

cache = Cache()
minute = Contract("60s")
products = cache.tag("products", int)
prices = cache.tag("prices", int, str)


class Handle:
    pass


@asynccontextmanager
async def open_handle() -> AsyncIterator[Handle]:
    yield Handle()


db = cache.source("db", open=open_handle)


@cache.read("product", minute, source=db)
async def product(handle: Handle, product_id: int) -> str:
    return ""


@cache.read("blocking", minute)
def blocking(product_id: int) -> str:
    return ""


class Shop:
    @cache.read("shop", minute, ignore=["self"])
    async def product(self, product_id: int) -> str:
        return ""


def tags_of_another_type() -> None:
    products("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    products()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    products(1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    prices("EUR", 42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def arguments_of_another_type() -> None:
    await product("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product(Handle(), 42)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    await product(id=42)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product.lookup()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product.strong("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.invalidate(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.using(grace=0)("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    product.key("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Shop().product("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Shop().product.lookup(1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    blocking("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def options_that_are_not_there() -> None:
    await product.using(gracious=0)(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product.using(store="no")(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.many(42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def the_other_colour() -> None:
    await blocking(42)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await blocking.lookup(42)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    product(42).upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    product(42)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    async with cache.changing(products(42)) as awaited:
        awaited.add(products(43))  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    with cache.changing(products(42)) as change:
        await change.add(products(43))  # type: ignore[func-returns-value, misc]  # pyright: ignore[reportGeneralTypeIssues]


async def writes_of_what_is_no_tag() -> None:
    await cache.invalidate("products:42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await cache.invalidate(products)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await cache.invalidate([products(42)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cache.changing(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def contracts_without_a_bound() -> None:
    Contract()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Contract("60s", "5m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Contract("60s", consistency="eventual")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Contract(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def declarations() -> None:
    cache.read("no contract")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    cache.read("name", minute, sources=db)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    cache.read("family", minute, tags=products)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cache.read("one", minute, tags=products(1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    cache.read("opener", minute, source=open_handle)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    cache.source("opened", open=Handle())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    cache.source("none", open=Handle)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    cache.tag("text", "int")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


@cache.read("wrong resource", minute, source=db)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
async def wrong_resource(session: int) -> str:
    return ""


async def inline() -> None:
    await cache.get_or_load("key", 42, minute)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await cache.get_or_load("key", lambda: 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    number: str = cache.blocking.get_or_load("key", lambda: 1, minute)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(number)
