"""Memory per entry: integer keys to 200 bytes, each cache filled in a fresh process.

Two measures, each in a process of its own, since the tracer costs memory too: what the operating system says
(resident set), and what Python's allocators were asked for (tracemalloc). Overhead is the growth less that of a row
that holds the same keys and values in two lists, without the 16 bytes a pair takes in them: so the rounding of the
allocator counts as payload, and the entry, its place in the tables, the eviction queue and any index as overhead.

The other caches are filled through their own `set`, which is to their advantage: the decorators of most add a tuple
for the key. cacheaside is filled as users fill it, by calls of a decorated function.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from bench.rows import MemoryRow

VALUE_BYTES = 200
LIST_SLOTS_BYTES = 16
RESIDENT, TRACED = MEASURES = ("rss", "traced")
PAYLOAD = "payload alone, in two lists"
FIRST_KEY = 1_000
"""Small integers are shared by the interpreter and would cost nothing."""
TTL_S = 3600.0
CHILD_TIMEOUT_S = 600


def value(k: int) -> bytes:
    """A value of its own for every key."""
    return k.to_bytes(8, "big") * (VALUE_BYTES // 8)


def _payload(n: int) -> object:
    # Made to size beforehand: a list that grows keeps room to spare, which would count as payload.
    keys: list[Any] = [None] * n
    values: list[Any] = [None] * n
    for position in range(n):
        keys[position] = FIRST_KEY + position
        values[position] = value(FIRST_KEY + position)
    return keys, values


def _by_set(build: Callable[[int], tuple[object, Callable[[int, bytes], object]]]) -> Callable[[int], object]:
    def fill(n: int) -> object:
        cache, put = build(n)
        for k in range(FIRST_KEY, FIRST_KEY + n):
            put(k, value(k))
        return cache

    return fill


def _by_call(build: Callable[[int], Callable[[int], bytes]]) -> Callable[[int], object]:
    def fill(n: int) -> object:
        cached = build(n)
        for k in range(FIRST_KEY, FIRST_KEY + n):
            cached(k)
        return cached

    return fill


def _by_await(build: Callable[[int], tuple[object, Callable[[int, bytes], Any]]]) -> Callable[[int], object]:
    def fill(n: int) -> object:
        async def filling() -> object:
            cache, put = build(n)
            for k in range(FIRST_KEY, FIRST_KEY + n):
                await put(k, value(k))
            return cache

        return asyncio.run(filling())

    return fill


def _dict(_n: int) -> tuple[object, Callable[[int, bytes], object]]:
    table: dict[int, bytes] = {}
    return table, table.__setitem__


def _cachetools(n: int) -> tuple[object, Callable[[int, bytes], object]]:
    import cachetools

    cache: Any = cachetools.TTLCache(n, TTL_S)
    return cache, cache.__setitem__


def _cachebox(n: int) -> tuple[object, Callable[[int, bytes], object]]:
    import cachebox

    cache: Any = cachebox.TTLCache(n, TTL_S)
    return cache, cache.insert


def _theine(n: int) -> tuple[object, Callable[[int, bytes], object]]:
    import theine

    cache: Any = theine.Cache(n)
    ttl = timedelta(seconds=TTL_S)
    return cache, lambda k, v: cache.set(k, v, ttl)


def _dogpile(_n: int) -> tuple[object, Callable[[int, bytes], object]]:
    import dogpile.cache

    region: Any = dogpile.cache.make_region().configure("dogpile.cache.memory", expiration_time=TTL_S)
    return region, region.set


def _cashews(n: int) -> tuple[object, Callable[[int, bytes], Any]]:
    from cashews.backends.memory import Memory

    cache = Memory(size=n, check_interval=0)
    return cache, lambda k, v: cache.set(k, v, expire=TTL_S)


def _aiocache(_n: int) -> tuple[object, Callable[[int, bytes], Any]]:
    import aiocache

    cache: Any = aiocache.SimpleMemoryCache()
    return cache, lambda k, v: cache.set(k, v, ttl=TTL_S)


def _ours(tags: int) -> Callable[[int], object]:
    def fill(n: int) -> object:
        from bench import ours

        return _by_call(lambda entries: ours.memory_endpoint(entries, tags, value))(n)

    return fill


FILLS: dict[str, Callable[[int], object]] = {
    PAYLOAD: _payload,
    "dict": _by_set(_dict),
    "functools.lru_cache": _by_call(lambda n: lru_cache(maxsize=n)(value)),
    "cacheaside": _ours(0),
    "cacheaside, 1 tag an entry": _ours(1),
    "cacheaside, 3 tags an entry": _ours(3),
    "cachebox TTLCache": _by_set(_cachebox),
    "cachetools TTLCache": _by_set(_cachetools),
    "theine Cache": _by_set(_theine),
    "cashews Memory": _by_await(_cashews),
    "aiocache SimpleMemoryCache": _by_await(_aiocache),
    "dogpile.cache memory": _by_set(_dogpile),
}


def rows(entries: int, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[MemoryRow]:
    """One row per cache; the payload's own row first, which all the others need."""
    found: list[MemoryRow] = []
    payload_rss = payload_traced = 0.0
    for name in (name for name in FILLS if name == PAYLOAD or wanted(name)):
        progress(f"memory of {entries:,} entries, {name}")
        with ThreadPoolExecutor(len(MEASURES)) as both:
            rss, traced = both.map(partial(_child, name, entries), MEASURES)
        if name == PAYLOAD:
            payload_rss, payload_traced = rss - LIST_SLOTS_BYTES, traced - LIST_SLOTS_BYTES
        found.append(MemoryRow(name, entries, rss, traced, rss - payload_rss, traced - payload_traced))
    return found


def _child(name: str, entries: int, measure: str) -> float:
    """Bytes per entry, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", name, str(entries), measure],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the memory row {name!r} failed:\n{done.stderr}")
    return float(done.stdout)


def resident_bytes() -> int:
    """The process's resident set; where the system does not say, its largest one so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _measure(fill: Callable[[int], object], entries: int, measure: str) -> float:
    fill(1_000)  # imports, first tables, whatever is made once
    gc.collect()
    if measure == TRACED:
        tracemalloc.start()
    before = _taken(measure)
    cache = fill(entries)
    gc.collect()
    taken = _taken(measure) - before
    del cache
    return taken / entries


def _taken(measure: str) -> int:
    return tracemalloc.get_traced_memory()[0] if measure == TRACED else resident_bytes()


if __name__ == "__main__":
    print(_measure(FILLS[sys.argv[1]], int(sys.argv[2]), sys.argv[3]))
