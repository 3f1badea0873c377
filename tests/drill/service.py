"""What a user brings to a drill of their own service: a function that asks it, and one that reads its source.

The service is a cache in this very process, over the server that CACHEASIDE_URL names."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cacheaside import Cache, Contract, Lookup

URL = os.environ.get("CACHEASIDE_URL")
cache = Cache(URL, namespace="shop", max_unsynced="500ms")
running = done = 0
counting = threading.Lock()


@asynccontextmanager
async def session() -> AsyncIterator[None]:
    global running, done
    running += 1
    try:
        yield None
    finally:
        running -= 1
        done += 1


db = cache.source("db", open=session, limit=4)


@cache.read("product", Contract(ttl="1h"), source=db)
async def product(session: None, number: int) -> str:
    await asyncio.sleep(0.02)
    return "x" * 100


turn = 0


async def ask() -> Lookup[str]:
    """One request."""
    global turn
    turn += 1
    return await product.lookup(turn % 60)


async def broken() -> None:
    """A service that is down."""
    raise ConnectionRefusedError("nobody is there")


def source() -> tuple[int, int]:
    """Queries at once, and done."""
    return running, done


async def warm() -> None:
    """Fill the cache."""
    for number in range(60):
        await product(number)
