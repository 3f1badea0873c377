"""Many keys that are due together, in one process, under a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cacheaside import Cache, Contract
from cacheaside.testing import Clock

KEYS = 10_000
AT_ONCE = 200
"""Reads after which what was started behind them is let run: there may be 256 refreshes at once."""


async def _settled(cache: Cache) -> None:
    behind = cache._host.async_crew._behind
    while behind:
        await asyncio.gather(*behind, return_exceptions=True)


async def _loads_by_second(jitter: float) -> Counter[int]:
    """10,000 entries that were filled together, ttl 60 s, read once a second: when they are loaded again."""
    cache, clock = Cache(namespace="herd"), Clock()
    loads: Counter[int] = Counter()
    with clock.use(cache):

        @cache.read("many", Contract("60s", jitter=jitter))
        async def many(key: int) -> int:
            loads[int(clock.now())] += 1
            return key

        for key in range(KEYS):
            await many(key)
        assert loads.total() == KEYS
        loads.clear()
        clock.advance("53s")
        for _ in range(8):
            clock.advance("1s")
            for first in range(0, KEYS, AT_ONCE):
                for key in range(first, first + AT_ONCE):
                    await many(key)
                await _settled(cache)
    return loads


@pytest.mark.parametrize(("jitter", "most"), [(0.0, KEYS), (0.1, KEYS / 6 * 1.1)])
async def test_what_was_filled_together_is_not_loaded_together(jitter: float, most: float) -> None:
    """With the default jitter the busiest second sees a sixth of the loads, the tenth of the ttl in seconds; without,
    all of them."""
    loads = await _loads_by_second(jitter)
    print(sorted(loads.items()))
    assert loads.total() == KEYS
    assert max(loads.values()) <= most
    assert jitter or max(loads.values()) == KEYS
