"""A service's module as the command line imports it: one cache, endpoints of several kinds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from enum import Enum
from typing import Any
from uuid import UUID

from cacheaside import Cache, Contract

cache = Cache(namespace="shop")


@contextmanager
def session() -> Iterator[dict[str, int]]:
    """The database of this shop."""
    yield {"cents": 1900}


db = cache.source("shop-db", open=session, limit=16)
products, categories = cache.tag("products", int), cache.tag("categories", int)
tenant: ContextVar[str] = ContextVar("tenant")


class Locale(Enum):
    """In which language."""

    EN = "en"
    DE = "de"


@cache.read(
    "product",
    Contract(ttl="60s", grace="5m", absent_ttl="5s", error_ttl={KeyError: "2s"}, max_bytes="64KiB"),
    source=db,
    tags=lambda product_id: [products(product_id)],
    value_tags=lambda value: [categories(value["category"])],
)
def product(row: dict[str, int], product_id: int, locale: Locale = Locale.EN) -> dict[str, int] | None:
    """One product."""
    return {"id": product_id, "category": 7, **row}


@cache.read("board", Contract(ttl="10s", stale_after_invalidation="8s", early_refresh=1.0), vary=tenant)
async def board(origin: str, day: date | None = None, user: UUID | None = None) -> list[int]:
    """What leaves from an airport."""
    return [len(origin)]


@cache.read("stock", Contract.never_stale(), ignore=["trace"])
def stock(product_id: int, trace: Any = None) -> int:
    """Never from the cache."""
    return product_id
