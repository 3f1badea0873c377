"""One key's reads: what is asked of the source, what is kept, what `Lookup` says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cacheaside import Cache, Contract, DeclarationError, Forward, NotStored, Served, Tier
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Product(msgspec.Struct, frozen=True):
    id: int
    category_id: int


class Missing(Exception):
    """The loader's own."""


def counter(world: World, contract: Contract = MINUTE, **options: Any) -> Any:
    """An endpoint that returns how often it was loaded; `.loads` is that number, `.fails` what it raises instead."""

    @world.read("counter", contract, **options)
    def count(key: int) -> int:
        if state.fails is not None:
            raise state.fails
        state.loads += 1
        return state.loads

    state = count
    count.loads, count.fails = 0, None
    return count


async def test_a_hit_asks_nothing_of_the_source(world: World) -> None:
    """The second read of a key is answered by what the first one loaded."""
    count = counter(world)
    assert [await world.do(count, 1) for _ in range(3)] == [1, 1, 1]
    assert await world.do(count, 2) == 2


async def test_a_lookup_tells_a_load_from_a_hit(world: World) -> None:
    """A lookup says who answered, why the source was asked, how old the value is and how old it may be."""
    count = counter(world, Contract("60s", grace="5m", jitter=0))
    loaded = await world.do(count.lookup, 1)
    assert (loaded.value, loaded.served, loaded.forward) == (1, Served.LOADED, Forward.ABSENT)
    assert (loaded.tier, loaded.age_s, loaded.bound_s) == (Tier.SOURCE, 0.0, 360.0)
    assert (loaded.stored, loaded.not_stored, loaded.hit) == (True, None, False)
    world.t += 10
    found = await world.do(count.lookup, 1)
    assert (found.value, found.served, found.forward) == (1, Served.FRESH, None)
    assert (found.tier, found.age_s, found.bound_s) == (Tier.L1, 10.0, 360.0)
    assert (found.stored, found.not_stored, found.hit) == (False, None, True)
    assert (found.refreshing, found.source_error) == (False, None)


async def test_strong_loads_and_stores_for_the_next_reader(world: World) -> None:
    """`strong` asks the source whatever is held, and what it got is what the next plain read gets."""
    count = counter(world)
    assert await world.do(count, 1) == 1
    assert await world.do(count.strong, 1) == 2
    assert await world.do(count, 1) == 2
    lookup = await world.do(count.using(consistency="strong").lookup, 1)
    assert (lookup.value, lookup.forward, lookup.tier) == (3, Forward.STRONG, Tier.SOURCE)


async def test_refresh_replaces_what_is_held(world: World) -> None:
    """`refresh` loads and stores now, returns nothing, and counts as no read."""
    count = counter(world)
    assert await world.do(count, 1) == 1
    world.t += 50
    assert await world.do(count.refresh, 1) is None
    lookup = await world.do(count.lookup, 1)
    assert (lookup.value, lookup.age_s) == (2, 0.0)
    stats = world.cache.stats().endpoints["counter"]
    assert (stats.reads, stats.loads, stats.refreshes) == (2, 2, 1)


async def test_a_failed_refresh_is_told_and_keeps_what_is_held(world: World) -> None:
    """When the source fails, `refresh` raises the loader's error, and readers go on with the old value."""
    count = counter(world)
    await world.do(count, 1)
    count.fails = Missing()
    with pytest.raises(Missing):
        await world.do(count.refresh, 1)
    assert await world.do(count, 1) == 1
    assert world.cache.stats().endpoints["counter"].refreshes_failed == 1


async def test_invalidating_a_key_touches_no_other(world: World) -> None:
    """After `invalidate`, the next read of that key loads, and other keys stay."""
    count = counter(world)
    assert (await world.do(count, 1), await world.do(count, 2)) == (1, 2)
    await world.do(count.invalidate, 1)
    assert await world.do(count, 2) == 2
    assert await world.do(count, 1) == 3
    assert world.cache.stats().endpoints["counter"].invalidations == 1


async def test_purge_removes_the_value_itself(world: World) -> None:
    """`invalidate` may leave a value that the contract still allows; `purge` leaves none."""
    count = counter(world, Contract("60s", stale_after_invalidation="60s", jitter=0))
    await world.do(count, 1)
    await world.do(count.invalidate, 1)
    assert world.cache.stats().endpoints["counter"].entries == 1
    await world.do(count.purge, 1)
    assert world.cache.stats().endpoints["counter"].entries == 0
    assert (await world.do(count.lookup, 1)).served is Served.LOADED


async def test_a_key_is_printable_and_names_its_endpoint(world: World) -> None:
    """A key begins with namespace and endpoint, and is one line of plain text."""
    key = counter(world).key(42)
    assert key.startswith("shop:counter:1~")
    assert key.isascii()
    assert key.isprintable()


async def test_tags_from_the_arguments(world: World) -> None:
    """Invalidating a tag drops every entry, of any endpoint, that was declared to be computed from it."""
    products = world.cache.tag("products", int)
    everything = world.cache.tag("catalogue")
    count = counter(world, tags=lambda key: [products(key), everything()])
    for key in (1, 2):
        await world.do(count, key)
    await world.invalidate(products(1))
    assert [await world.do(count, key) for key in (1, 2)] == [3, 2]
    await world.invalidate(everything())
    assert [await world.do(count, key) for key in (1, 2)] == [4, 5]
    await world.invalidate(products(99))
    assert [await world.do(count, key) for key in (1, 2)] == [4, 5]


async def test_tags_from_the_value(world: World) -> None:
    """What only the value tells is a tag as well: the category of a product is not among its arguments."""
    categories = world.cache.tag("categories", int)
    loads: list[int] = []

    @world.read("product", MINUTE, value_tags=lambda p: [categories(p.category_id)])
    def product(product_id: int) -> Product:
        loads.append(product_id)
        return Product(product_id, product_id % 2)

    for product_id in (1, 2):
        await world.do(product, product_id)
    await world.invalidate(categories(1))
    for product_id in (1, 2):
        await world.do(product, product_id)
    assert loads == [1, 2, 1]


async def test_tags_that_are_a_list_belong_to_every_key(world: World) -> None:
    """Tags that need no argument may be given as they are."""
    catalogue = world.cache.tag("catalogue")
    count = counter(world, tags=[catalogue()])
    await world.do(count, 1)
    await world.invalidate(catalogue())
    assert await world.do(count, 1) == 2


async def test_everything_can_be_invalidated_at_once(world: World) -> None:
    """`invalidate_all` reaches every endpoint of the namespace, and nothing of another cache."""
    count = counter(world)
    other = World("async" if world.is_async else "blocking")
    elsewhere = counter(other)
    for one in (count, elsewhere):
        await world.do(one, 1)
    cache = world.cache
    await world.do(cache.invalidate_all if world.is_async else cache.blocking.invalidate_all)
    assert await world.do(count, 1) == 2
    assert await world.do(elsewhere, 1) == 1


async def test_using_changes_the_terms_of_one_call(world: World) -> None:
    """`using` is for this call alone: the endpoint's own contract stays as it was declared."""
    count = counter(world, Contract("60s", grace="5m", jitter=0))
    await world.do(count, 1)
    world.t += 10
    assert await world.do(count.using(ttl="5s", grace=0), 1) == 2
    world.t += 100
    assert await world.do(count.using(grace=0), 1) == 3
    world.t += 59
    lookup = await world.do(count.using(ttl="2m").lookup, 1)
    assert (lookup.value, lookup.bound_s) == (3, 420.0)


@pytest.mark.parametrize("changes", [{"gracious": 1}, {"ttl": "soon"}, {"consistency": "strong", "grace": 1}])
async def test_using_refuses_what_a_contract_refuses(world: World, changes: dict[str, Any]) -> None:
    """An option that is not there, or that contradicts the others, is an error before anything is read."""
    count = counter(world)
    with pytest.raises(DeclarationError):
        count.using(**changes)


async def test_an_error_is_the_loaders_own_and_is_not_kept(world: World) -> None:
    """What the loader raises reaches the caller as it is, and the next read asks again."""
    count = counter(world)
    count.fails = error = Missing("no such row")
    for _ in range(2):
        with pytest.raises(Missing) as caught:
            await world.do(count, 1)
        assert caught.value is error
    count.fails = None
    assert await world.do(count, 1) == 1
    assert world.cache.stats().endpoints["counter"].loads_failed == 2


async def test_disabled_means_every_read_is_a_load(world: World) -> None:
    """A disabled cache serves, stores and shares nothing; enabled again it serves what it held, unless invalidated."""
    count = counter(world)
    assert (await world.do(count, 1), await world.do(count, 2)) == (1, 2)
    cache = world.cache
    assert cache.enabled
    cache.disable()
    assert not cache.enabled
    reads = [count, count, count.strong, count.using(grace=0)]
    assert [await world.do(read, 1) for read in reads] == [3, 4, 5, 6]
    lookup = await world.do(count.lookup, 1)
    assert (lookup.forward, lookup.not_stored) == (Forward.BYPASS, NotStored.CONTRACT)
    assert await world.do(count.many, [1, 3]) == [8, 9]
    assert await world.get_or_load("key", lambda: 1, MINUTE) == 1
    assert await world.get_or_load("key", lambda: 2, MINUTE) == 2
    await world.do(count.invalidate, 2)
    cache.enable()
    assert (await world.do(count, 1), await world.do(count, 2)) == (1, 10)
    assert await world.get_or_load("key", lambda: 3, MINUTE) == 3


async def test_clear_drops_everything_held(world: World) -> None:
    """After `clear` nothing is served from before it."""
    count = counter(world)
    await world.do(count, 1)
    world.cache.clear()
    assert world.cache.stats().entries == 0
    assert await world.do(count, 1) == 2


def test_clear_drops_what_may_be_served_after_an_invalidation_too() -> None:
    """An entry kept because the contract serves outdated values goes with the rest."""
    cache = Cache(namespace="clear")

    @cache.read("item", Contract(ttl="60s", stale_after_invalidation="60s"))
    def item(key: int) -> int:
        return key

    item(1)
    cache.clear()
    assert cache.stats().entries == 0


async def test_a_source_opens_a_resource_for_each_load(world: World) -> None:
    """The loader gets a resource of its own, closed after it; a hit opens none."""
    from contextlib import asynccontextmanager, contextmanager

    opened: list[str] = []

    @contextmanager
    def open_blocking() -> Any:
        opened.append("open")
        yield len(opened)
        opened.append("close")

    @asynccontextmanager
    async def open_async() -> Any:
        opened.append("open")
        yield len(opened)
        opened.append("close")

    db: Any = world.cache.source("db", open=open_async if world.is_async else open_blocking)

    @world.read("product", MINUTE, source=db)
    def product(session: int, product_id: int) -> int:
        return session * 100 + product_id

    assert [await world.do(product, 1) for _ in range(2)] == [101, 101]
    assert await world.do(product, product_id=2) == 302
    assert opened == ["open", "close"] * 2
