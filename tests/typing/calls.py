"""What a decorated function is to a type checker. Read by mypy and pyright (tests/shape/test_typing.py), never run.

A line that must be an error is suppressed by name; a checker that no longer finds the error finds the suppression
needless, and fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, assert_type

from cacheaside import Cache, Contract, Lookup, Tag
from cacheaside.source import Source


@dataclass(frozen=True)
class Product:
    """A value."""

    product_id: int
    category_id: int


class Session:
    """A resource of a source."""


@asynccontextmanager
async def open_session() -> AsyncIterator[Session]:
    """A source's resource for `async def`."""
    yield Session()


@contextmanager
def open_blocking_session() -> Iterator[Session]:
    """A source's resource for `def`."""
    yield Session()


cache = Cache(namespace="shop")
db = cache.source("db", open=open_session)
blocking_db = cache.source("blocking-db", open=open_blocking_session)
products = cache.tag("products", int)
boards = cache.tag("boards", str, int)
contract = Contract(ttl="60s", grace="5m")

assert_type(db, Source[Session])
assert_type(blocking_db, Source[Session])
assert_type(products(1), Tag)
assert_type(boards("JFK", 1), Tag)
products("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
boards("JFK")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@cache.read("product", contract, source=db, tags=lambda product_id: [products(product_id)])
async def product(session: Session, product_id: int, locale: str = "en") -> Product:
    """An `async def` endpoint with a resource."""
    return Product(product_id, len(locale))


@cache.read("name", contract, tags=[products(1)])
async def name(product_id: int) -> str | None:
    """An `async def` endpoint without one."""
    return str(product_id)


@cache.read("stock", contract, source=blocking_db)
def stock(session: Session, product_id: int) -> int:
    """A `def` endpoint with a resource."""
    return product_id


@cache.read("rate", contract)
def rate(currency: str, *, precise: bool = False) -> float:
    """A `def` endpoint without one, and with a keyword."""
    return 1.0 if precise else 2.0


class Service:
    """Endpoints as methods."""

    @cache.read("service.product", contract, source=db, ignore=["self"])
    async def product(self, session: Session, product_id: int) -> Product:
        """With a resource."""
        return Product(product_id, 0)

    @cache.read("service.rate", contract, ignore=["self"])
    def rate(self, currency: str) -> float:
        """Without one."""
        return float(len(currency))


async def awaited() -> None:
    """The resource is gone from the signature; arguments and value are the function's own."""
    pending = product(42)
    assert_type(await assert_type(pending, Coroutine[Any, Any, Product]), Product)
    assert_type(await product(42, locale="de"), Product)
    assert_type(await product(product_id=42), Product)
    assert_type(await product.lookup(42), Lookup[Product])
    assert_type((await product.lookup(42)).value, Product)
    assert_type(await product.strong(42, "de"), Product)
    assert_type(await product.using(grace=0)(42), Product)
    assert_type(await product.using(grace="1m").lookup(42), Lookup[Product])
    assert_type(await product.many([1, 2]), list[Product])
    assert_type(await product.many([1, 2], return_exceptions=True), list[Product | BaseException])
    assert_type(product.key(42), str)
    assert_type(await name(1), str | None)
    await product.invalidate(42)
    await product.refresh(42)
    await product.purge(42)
    await cache.invalidate(products(42), boards("JFK", 1))
    async with cache.changing(products(42)) as change:
        await change.add(boards("JFK", 1))


async def refused() -> None:
    """What is wrong for the function is wrong for its cached form, in every way of calling it."""
    await product("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product(42, lang="de")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product(Session(), 42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.lookup("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.strong("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await product.invalidate()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    product.key("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    product.using(gracious=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await product.using(grace=0)("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def blocking() -> None:
    """The same without `await`."""
    assert_type(stock(42), int)
    assert_type(rate("EUR", precise=True), float)
    assert_type(stock.lookup(42), Lookup[int])
    assert_type(stock.strong(42), int)
    assert_type(stock.using(ttl="1s")(42), int)
    assert_type(stock.many([1, 2]), list[int])
    assert_type(stock.key(42), str)
    stock.invalidate(42)
    cache.blocking.invalidate(products(42))
    with cache.changing(products(42)):
        pass
    rate("EUR", True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    stock("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def methods(service: Service) -> None:
    """`self` is bound, in the call and in every method of the endpoint."""
    assert_type(await service.product(42), Product)
    assert_type(await service.product.lookup(42), Lookup[Product])
    assert_type(await service.product.strong(42), Product)
    assert_type(service.rate("EUR"), float)
    assert_type(service.rate.key("EUR"), str)
    await service.product.invalidate(42)
    service.rate.invalidate("EUR")
    await service.product("42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    service.rate(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def inline() -> None:
    """Without a decorator the value is what the loader gives."""

    async def report() -> Product:
        return Product(1, 2)

    assert_type(await cache.get_or_load(("report", 1), report, contract), Product)
    assert_type(cache.blocking.get_or_load(("rates", 1), lambda: 1.5, contract), float)
