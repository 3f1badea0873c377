"""A service of several processes, as its shared tier sees it: each `Service` stands for one, with an L1 of its own."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from cacheaside import Cache, Contract
from cacheaside.testing.servers import Server

__all__ = [
    "MINUTE",
    "WAIT_S",
    "Rows",
    "Service",
    "Start",
    "ask",
    "clients",
    "holds",
    "stat",
    "timed",
    "until",
]

MINUTE: Final = Contract("60s")
WAIT_S: Final = 20.0
"""How long a test waits for what must happen, before it fails."""


class Rows:
    """The source of truth: numbers by key, 0 where none was written; and the keys that were loaded, in order."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.loads: list[int] = []

    def load(self, key: int) -> int:
        self.loads.append(key)
        return self.values.get(key, 0)


class Service:
    """One process: a cache, and the endpoint `product`, tagged `products(key)`, over `rows`.

    colour: "asyncio" or "threads". What is awaited here is awaited, or runs on a thread, accordingly. Its deadline is
    patient unless another is given.
    """

    def __init__(
        self,
        url: str,
        rows: Rows | None = None,
        *,
        colour: str = "asyncio",
        contract: Contract = MINUTE,
        **options: Any,
    ) -> None:
        self.is_async = colour == "asyncio"
        self.rows = Rows() if rows is None else rows
        # Nothing is late unless a test is about that: the machine may be busy.
        self.cache = Cache(url, **{"deadline": "5s", **options})
        self.products = self.cache.tag("products", int)

        def product(key: int) -> int:
            return self.rows.load(key)

        self.product = self.read("product", contract, tags=lambda key: [self.products(key)])(product)

    def read(
        self, name: str, contract: Contract = MINUTE, **options: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """`@cache.read` for a loader written with `def`, made an `async def` where the colour asks for it. What such a
        loader returns is awaited first if that is to be awaited."""
        decorate = self.cache.read(name, contract, **options)
        return lambda loader: decorate(self._coloured(loader))

    def _coloured(self, loader: Callable[..., Any]) -> Any:
        if not self.is_async or inspect.iscoroutinefunction(loader):
            return loader

        @functools.wraps(loader)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            found = loader(*args, **kwargs)
            return await found if inspect.isawaitable(found) else found

        return awaited

    async def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of `function`: awaited, or on a thread of its own."""
        if self.is_async:
            return await function(*args, **kwargs)
        return await asyncio.to_thread(function, *args, **kwargs)

    async def get(self, key: int) -> int:
        """`product(key)`."""
        value: int = await self.do(self.product, key)
        return value

    async def lookup(self, key: int) -> Any:
        """`product.lookup(key)`."""
        return await self.do(self.product.lookup, key)

    async def invalidate(self, *tags: Any, **options: Any) -> None:
        """`cache.invalidate` in this colour."""
        cache = self.cache
        await self.do(cache.invalidate if self.is_async else cache.blocking.invalidate, *tags, **options)

    async def write(self, key: int, value: int) -> None:
        """Commit a row, and invalidate what was computed from it."""
        self.rows.values[key] = value
        await self.invalidate(self.products(key))

    async def changing(self, key: int, value: int, **options: Any) -> None:
        """Commit a row in the bracket."""
        if self.is_async:
            async with self.cache.changing(self.products(key), **options):
                self.rows.values[key] = value
            return

        def work() -> None:
            with self.cache.changing(self.products(key), **options):
                self.rows.values[key] = value

        await asyncio.to_thread(work)

    async def ready(self) -> None:
        """Return once the shared tier is up for this process, and L1 may answer."""
        # Reads connect, and each in the colour that will be used.
        await until(lambda: self._answered_twice())

    async def _answered_twice(self) -> bool:
        await self.get(-1)
        return str((await self.lookup(-1)).tier) != "source"

    async def close(self) -> None:
        """Close what the cache has open."""
        await self.cache.aclose()


Start = Callable[..., Service]
"""What the fixture `processes` gives: from a URL, and options of `Service`, to one more process."""


async def until(condition: Callable[[], Any], within_s: float = WAIT_S) -> float:
    """Return once `condition()`, awaited where it is to be, holds; how many seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while True:
            holds_now = condition()
            if inspect.isawaitable(holds_now):
                holds_now = await holds_now
            if holds_now:
                return time.monotonic() - began
            await asyncio.sleep(0.001)


async def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    """What `work` gave, and how many seconds it took."""
    began = time.monotonic()
    return await work, time.monotonic() - began


async def ask(server: Server, *words: str | bytes | int) -> Any:
    """The server's answer, past the cache."""
    return await asyncio.to_thread(server.ask, *words)


async def stat(server: Server, section: str, field: str) -> str:
    """A field of INFO, as text; empty where it is not there."""
    lines = str(await ask(server, "INFO", section)).splitlines()
    return next((line.partition(":")[2] for line in lines if line.startswith(f"{field}:")), "")


async def clients(server: Server) -> list[Mapping[str, str]]:
    """The connections of caches to a server, as CLIENT LIST shows them."""
    listed = [
        dict(pair.partition("=")[::2] for pair in line.split(" "))
        for line in str(await ask(server, "CLIENT", "LIST")).splitlines()
    ]
    return [one for one in listed if one.get("name", "").startswith("cacheaside")]


def holds(service: Service) -> int:
    """How many entries L1 holds."""
    return service.cache.stats().entries
