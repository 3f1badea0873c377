"""What counting costs a hit: the generated function beside itself, without the line that counts.

The difference is a tenth of what is measured, so the two take turns in batches of some tenths of a millisecond, short
enough that many of them are disturbed by nothing, in an order drawn anew each time. The least of each is compared.
"""

from __future__ import annotations

import asyncio
import linecache
import random
from collections.abc import Awaitable, Callable
from typing import Any

from bench.interleaved import Calls, Case, Ready, compiled, require
from bench.rows import TASKS, THREADS, CountingRow, Table
from cacheaside import Cache, Contract

CALLS_A_BATCH = 1_000
WARM_BATCHES = 20
LINE = "        _e.hits += 1\n"
TITLE = "counting of an L1 hit"


def rows(seed: int, batches: int, progress: Callable[[str], None]) -> list[CountingRow]:
    """An awaited hit, and one on a thread."""
    progress("what counting costs a hit")
    return [_row(kind, random.Random(seed), batches) for kind in (TASKS, THREADS)]


def without_counting(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was generated for `f`, less the line that counts its hits."""
    lines = linecache.getlines(f.__code__.co_filename)
    require(lines.count(LINE) == 1, f"a generated hit counts in {lines.count(LINE)} lines: {lines}")
    names = dict(f.__globals__)
    exec("".join(line for line in lines if line != LINE), names)
    uncounted: Callable[..., Any] = names[f.__name__]
    return uncounted


def _row(kind: str, rng: random.Random, batches: int) -> CountingRow:
    is_async = kind == TASKS
    cache, loads = Cache(namespace="bench"), Calls()
    declared = _declared_async(cache, loads) if is_async else _declared(cache, loads)
    hit = "await f(k)" if is_async else "f(k)"
    table = Table("hit", TITLE, floor="", is_async=is_async)
    bodies = {
        name: compiled(Case(table, name, statement, lambda: Ready({}, loads, 0)), {"f": f, "k": 42})
        for name, statement, f in (
            ("with", hit, declared),
            ("without", hit, without_counting(declared)),
            ("loop", "pass", declared),
        )
    }
    loop = asyncio.new_event_loop()

    def run(body: Callable[[int], Any]) -> float:
        found = body(CALLS_A_BATCH)
        taken_s: float = loop.run_until_complete(_wait(found)) if is_async else found
        return taken_s / CALLS_A_BATCH * 1e9

    least = dict.fromkeys(bodies, float("inf"))
    for number in range(WARM_BATCHES + batches):
        for name in rng.sample(list(bodies), len(bodies)):
            taken_ns = run(bodies[name])
            if number >= WARM_BATCHES:
                least[name] = min(least[name], taken_ns)
    loop.close()
    # Once a second an entry's age is sampled, off the fast path: there the other one counts its hit, too.
    more = cache.stats().endpoints["product"].reads - (WARM_BATCHES + batches) * CALLS_A_BATCH
    require(loads.count == 1 and 0 <= more < CALLS_A_BATCH, f"{TITLE}: {loads.count} loads, {more} hits more")
    return CountingRow(kind, least["with"] - least["loop"], least["without"] - least["loop"])


async def _wait(awaitable: Awaitable[float]) -> float:
    return await awaitable


def _declared_async(cache: Cache, loads: Calls) -> Callable[..., Any]:
    @cache.read("product", Contract("1h"))
    async def product(k: int) -> bytes:
        loads.count += 1
        return b"lamp"

    return product


def _declared(cache: Cache, loads: Calls) -> Callable[..., Any]:
    @cache.read("product", Contract("1h"))
    def product(k: int) -> bytes:
        loads.count += 1
        return b"lamp"

    return product
