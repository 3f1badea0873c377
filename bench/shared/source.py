"""The source of truth behind the caches that are measured: it counts its loads and may be slow."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.rows import TASKS
from bench.shared.values import Product, product

SETTLED_S_MAX = 5.0
SETTLING_S = 0.05


class Source:
    """`loader` makes functions to be decorated; `loads` counts what they loaded, whoever asked."""

    def __init__(self, kind: str, load_s: float = 0.0) -> None:
        self.kind = kind
        self.load_s = load_s
        self.loads = 0
        self.taken_s: dict[int, float] = {}
        """By key: how long its loads took, all in all."""
        self._counting = threading.Lock()

    def loader(self, size: int, whose: str = "") -> Callable[[int], Any]:
        """A loader of values of `size` bytes. Its name tells the size and, where several caches share a server, whose
        it is: caches make their keys from it.
        """
        name = re.sub(r"\W+", "_", f"{whose} product {size}".strip())
        if self.kind == TASKS:

            async def load_async(k: int) -> Product:
                started = time.perf_counter()
                if self.load_s:
                    await asyncio.sleep(self.load_s)
                return self._loaded(k, size, started)

            return named(load_async, name)

        def load(k: int) -> Product:
            started = time.perf_counter()
            if self.load_s:
                time.sleep(self.load_s)
            return self._loaded(k, size, started)

        return named(load, name)

    def _loaded(self, k: int, size: int, started: float) -> Product:
        value = product(k, size)
        with self._counting:
            self.loads += 1
            self.taken_s[k] = self.taken_s.get(k, 0.0) + time.perf_counter() - started
        return value


async def settled(read: Callable[[], Awaitable[Any]], loads: Callable[[], int]) -> None:
    """Read until a read needs no load: what a cache does once, such as connecting behind its first callers, is done."""
    end = time.monotonic() + SETTLED_S_MAX
    while time.monotonic() < end:
        before = loads()
        await read()
        if loads() == before:
            return
        await asyncio.sleep(SETTLING_S)
    raise TimeoutError(f"after {SETTLED_S_MAX:g} s of reads each still needs a load")


def named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function under another name."""
    function.__name__ = function.__qualname__ = name
    return function
