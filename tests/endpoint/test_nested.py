"""Reads inside another endpoint's load: what they were computed from becomes part of the outer entry."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import Contract, Forward
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Prices:
    """A basket computed through a cached price."""

    def __init__(self, world: World, inner: Contract = MINUTE, outer: Contract = MINUTE) -> None:
        self.world = world
        self.row = 1
        self.tag = tag = world.cache.tag("prices", int)
        price_of = world.cache.read("price", inner, tags=lambda key: [tag(key)])
        basket_of = world.cache.read("basket", outer)
        if world.is_async:

            @price_of
            async def price(key: int) -> int:
                return self.row

            @basket_of
            async def basket(key: int) -> int:
                return 10 * await price(key)

            self.price: Any = price
            self.basket: Any = basket
        else:

            @price_of
            def blocking_price(key: int) -> int:
                return self.row

            @basket_of
            def blocking_basket(key: int) -> int:
                return 10 * blocking_price(key)

            self.price, self.basket = blocking_price, blocking_basket


@pytest.mark.parametrize("held_before", [True, False], ids=["inner hit", "inner miss"])
async def test_invalidating_the_inner_value_invalidates_the_outer(world: World, held_before: bool) -> None:
    """A tag of what was read inside is a tag of the outer entry too, whether the inner read was a hit or a load."""
    prices = Prices(world)
    if held_before:
        for _ in range(3):
            await world.do(prices.price, 1)
    assert await world.do(prices.basket, 1) == 10
    assert (await world.do(prices.basket.lookup, 1)).hit
    prices.row = 2
    await world.invalidate(prices.tag(1))
    assert await world.do(prices.basket, 1) == 20
    assert (await world.do(prices.basket.lookup, 1)).hit


async def test_invalidating_the_inner_key_invalidates_the_outer(world: World) -> None:
    """So is the inner key itself."""
    prices = Prices(world)
    await world.do(prices.price, 1)
    await world.do(prices.basket, 1)
    prices.row = 2
    await world.do(prices.price.invalidate, 1)
    assert await world.do(prices.basket, 1) == 20


async def test_the_outer_value_is_as_old_as_what_it_was_computed_from(world: World) -> None:
    """Ages do not add up unseen: the outer entry counts from the load of the oldest part."""
    prices = Prices(world)
    await world.do(prices.price, 1)
    world.t += 50
    assert (await world.do(prices.basket.lookup, 1)).age_s == 50
    prices.row = 2
    world.t += 10
    lookup = await world.do(prices.basket.lookup, 1)
    assert (lookup.value, lookup.forward) == (20, Forward.EXPIRED)


async def test_a_write_of_the_inner_value_keeps_the_outer_from_being_stored(world: World) -> None:
    """While the inner tag is being changed, nothing computed from it is kept."""
    prices = Prices(world)
    async with world.cache.changing(prices.tag(1)):
        assert not (await world.do(prices.basket.lookup, 1)).stored
        prices.row = 2
    assert await world.do(prices.basket, 1) == 20


async def test_strong_inside(world: World) -> None:
    """A strong inner endpoint is asked anew by each outer load, and does not keep the outer from being stored."""
    prices = Prices(world, inner=Contract("60s", consistency="strong"))
    lookup = await world.do(prices.basket.lookup, 1)
    assert (lookup.value, lookup.stored) == (10, True)
    prices.row = 2
    assert await world.do(prices.basket, 1) == 10, "the outer contract allows it for its ttl"
    await world.invalidate(prices.tag(1))
    assert await world.do(prices.basket, 1) == 20


async def test_reads_after_a_load_are_ordinary_again(world: World) -> None:
    """The scope of a load ends with it: later reads are hits of the fast path."""
    prices = Prices(world)
    await world.do(prices.basket, 1)
    before = world.cache.stats().endpoints["price"]
    assert await world.do(prices.price, 1) == 1
    after = world.cache.stats().endpoints["price"]
    assert (after.hits - before.hits, after.loads - before.loads) == (1, 0)
