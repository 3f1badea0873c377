"""Slow start: a cold process does not meet its source at full width."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from cacheaside import Admission, Cache, Contract, DeclarationError
from cacheaside.testing.servers import Server
from cacheaside.warm import Warmed
from cacheaside.warm.slow import start_slowly

LIMIT = 32


class Shop:
    """A cache, and a source that says how many loads are in it. Time stands still until `t` is moved."""

    def __init__(self, url: str | None = None, namespace: str = "shop") -> None:
        self.t = 100.0
        self.inside = 0
        self.peak = 0
        self.cache = Cache(url, namespace=namespace, deadline="5s")
        self.source = self.cache.source("db", open=self.opened, limit=Admission(LIMIT, adaptive=False))

        @self.cache.read("product", Contract(ttl="1h"), source=self.source)
        async def product(_: None, product_id: int) -> int:
            for _turn in range(3):
                await asyncio.sleep(0)
            return product_id

        self.product = product

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            yield
        finally:
            self.inside -= 1

    def start_slowly(self, over_s: float = 30.0) -> None:
        start_slowly(self.cache._host, self.source.limit, over_s, lambda: self.t)

    async def burst(self, first: int, reads: int = 200) -> int:
        """The most loads at once, of so many keys that are asked for at once."""
        self.peak = 0
        values = await asyncio.gather(*[self.product(n) for n in range(first, first + reads)])
        assert values == list(range(first, first + reads))
        return self.peak


async def test_a_cold_process_widens_step_by_step() -> None:
    """At first an eighth of the limit is used, however many ask; then twice as much three times; then all."""
    shop = Shop()
    shop.start_slowly(30.0)
    widths = []
    for number, at_s in enumerate((0.0, 10.0, 20.0, 29.9, 30.0)):
        shop.t = 100.0 + at_s
        widths.append(await shop.burst(1000 * number))
    assert widths == [4, 8, 16, 32, 32]
    assert shop.source.limit.slow is None


async def test_all_are_answered_while_it_is_narrow() -> None:
    """Nobody is left waiting: each load that ends lets in the next, though the clock stands still and nothing wakes
    them."""
    shop = Shop()
    shop.start_slowly()
    assert await asyncio.wait_for(shop.burst(0, reads=400), 20) == LIMIT // 8


async def test_it_begins_with_the_first_load() -> None:
    """A process that waits for its first request is as cold then."""
    shop = Shop()
    shop.start_slowly(30.0)
    shop.t += 3600.0
    assert await shop.burst(0) == LIMIT // 8


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


async def test_it_ends_where_the_shared_tier_is_warm(server: Server) -> None:
    """When the tier answers half of what this process does not hold, the source has little to fear from it."""
    first, second = Shop(server.url), Shop(server.url)
    async with first.cache, second.cache:
        await first.burst(0, reads=300)
        second.start_slowly()
        assert await second.burst(5000, reads=40) <= LIMIT // 8
        second.t += 1.0
        for number in range(300):
            await second.product(number)
        second.t += 1.0
        assert await second.burst(6000) > LIMIT // 8
        assert second.source.limit.slow is None


def test_it_is_off_where_the_warm_up_did_its_work() -> None:
    """After a warm-up that left half of its list or more in the cache, nothing is held down."""
    shop = Shop()
    assert not shop.cache.start_slowly(after=Warmed(asked=10, loaded=3, held=2))
    assert shop.source.limit.slow is None
    for cold in (Warmed(asked=10, loaded=4), Warmed(problem="no file"), None):
        assert shop.cache.start_slowly("5s", after=cold)
    assert shop.source.limit.slow is not None


def test_its_length_has_bounds() -> None:
    """A slow start without end would be a lower limit under another name."""
    with pytest.raises(DeclarationError, match="over="):
        Shop().cache.start_slowly("1d")


async def test_every_source_starts_slowly() -> None:
    """That of what names no source as well: `get_or_load`, and endpoints without one."""
    cache = Cache(namespace="shop")
    inside = peak = 0

    @cache.read("product", Contract("1h"))
    async def product(number: int) -> int:
        nonlocal inside, peak
        inside += 1
        peak = max(peak, inside)
        await asyncio.sleep(0)
        inside -= 1
        return number

    most = cache._host.default_source.limit.most
    cache.start_slowly("1h")
    await asyncio.gather(*[product(number) for number in range(most)])
    assert peak == most // 8


async def test_a_share_starts_slowly_too() -> None:
    """Many processes that begin at once each have a small share of the limit: of that it is an eighth."""
    shop = Shop()
    shop.source.limit.set_share(16)
    shop.start_slowly(30.0)
    assert await shop.burst(0) == 2
    shop.t += 30.0
    assert await shop.burst(1000) == 16
