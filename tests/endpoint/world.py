"""One cache under a clock of its own, and endpoints of either colour made from the same plain loaders."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

from cacheaside import Cache, Contract

__all__ = ["World"]


class World:
    """Time stands still until `t` is moved. `colour` says what `read` makes of a loader."""

    def __init__(self, colour: str) -> None:
        self.is_async = colour == "async"
        self.t = 1000.0
        self.cache = self.new_cache()

    def new_cache(self, **options: Any) -> Cache:
        """Another cache under the same clock."""
        cache = Cache(namespace="shop", **options)
        cache._use_clock(lambda: self.t)
        return cache

    def read(self, name: str, contract: Contract, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        """`@cache.read` for a loader written with `def`, made an `async def` where the colour asks for it."""
        decorate = self.cache.read(name, contract, **options)
        return lambda loader: decorate(self.coloured(loader))

    def coloured(self, loader: Callable[..., Any]) -> Any:
        """`loader` in this world's colour."""
        if not self.is_async:
            return loader

        @functools.wraps(loader)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return loader(*args, **kwargs)

        return awaited

    async def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `function`, and await what it returned if that is to be awaited."""
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def until(self, event: threading.Event) -> None:
        """Return when `event` is set, by whatever thread or task."""
        assert await asyncio.to_thread(event.wait, 10), "what was waited for did not happen"

    async def pause(self) -> None:
        """Let what runs behind go on."""
        await asyncio.sleep(0 if self.is_async else 0.001)

    async def invalidate(self, *tags: Any) -> None:
        """`cache.invalidate` in this world's colour."""
        await self.do(self.cache.invalidate if self.is_async else self.cache.blocking.invalidate, *tags)

    async def get_or_load(self, *args: Any, **kwargs: Any) -> Any:
        """`cache.get_or_load` in this world's colour."""
        cache = self.cache
        return await self.do(
            cache.get_or_load if self.is_async else cache.blocking.get_or_load, *args, **kwargs
        )
