"""Cached methods: bound to their instance in the call and in everything else."""

from __future__ import annotations

import copy
from typing import Any
from unittest.mock import Mock

import pytest

from cacheaside import Contract, Served, UsageError
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


def shop_class(world: World) -> Any:
    class Shop:
        """Something with a tenant."""

        loads = 0

        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        @world.read(
            "product", MINUTE, vary=lambda self: self.tenant, tags=lambda self, key: [tag(self.tenant, key)]
        )
        def product(self, key: int, locale: str = "en") -> str:
            """One product."""
            Shop.loads += 1
            return f"{self.tenant} {key} {locale}"

        @world.read("count", MINUTE, ignore=["self"])
        def count(self, key: int) -> int:
            Shop.loads += 1
            return Shop.loads

    tag = world.cache.tag("products", str, int)
    Shop.tag = tag  # type: ignore[attr-defined]
    return Shop


async def test_what_varies_by_instance_is_told_apart(world: World) -> None:
    """Instances share an entry exactly when what vary= names is equal."""
    Shop = shop_class(world)
    a, b, again = Shop("a"), Shop("b"), Shop("a")
    assert [await world.do(one.product, 1) for one in (a, b, again)] == ["a 1 en", "b 1 en", "a 1 en"]
    assert Shop.loads == 2
    assert a.product.key(1) == again.product.key(1) != b.product.key(1)


async def test_an_ignored_instance_is_no_part_of_the_key(world: World) -> None:
    """With ignore=['self'] all instances share."""
    Shop = shop_class(world)
    assert [await world.do(Shop(name).count, 1) for name in "ab"] == [1, 1]


async def test_everything_knows_the_instance(world: World) -> None:
    """lookup, strong, using, many, refresh, invalidate, purge and key are those of this instance."""
    Shop = shop_class(world)
    a, b = Shop("a"), Shop("b")
    for one in (a, b):
        await world.do(one.product, 1)
    assert (await world.do(a.product.lookup, 1)).served is Served.FRESH
    assert await world.do(b.product.strong, 1, locale="de") == "b 1 de"
    assert await world.do(b.product.using(ttl="1s"), 2) == "b 2 en"
    assert (await world.do(a.product.using(ttl="1s").lookup, 1)).value == "a 1 en"
    assert await world.do(a.product.many, [(1,), (2, "de")]) == ["a 1 en", "a 2 de"]
    await world.do(a.product.invalidate, 1)
    assert (await world.do(b.product.lookup, 1)).hit
    assert not (await world.do(a.product.lookup, 1)).hit
    await world.do(a.product.purge, 1)
    assert not (await world.do(a.product.lookup, 1)).hit
    loads = Shop.loads
    await world.do(a.product.refresh, 1)
    assert Shop.loads == loads + 1
    await world.invalidate(Shop.tag("a", 1))
    assert not (await world.do(a.product.lookup, 1)).hit
    assert (await world.do(b.product.lookup, 1)).hit


async def test_a_bound_method_can_be_kept(world: World) -> None:
    """What was bound stays bound to its instance, and a copied instance to itself."""
    Shop = shop_class(world)
    a = Shop("a")
    kept = a.product
    other = copy.copy(a)
    other.tenant = "copy"
    assert await world.do(kept, 1) == "a 1 en"
    assert await world.do(other.product, 1) == "copy 1 en"
    assert kept.__doc__ == "One product."


async def test_a_subclass_inherits_and_overrides(world: World) -> None:
    """A cached method is inherited, and `super()` reaches it."""
    Shop = shop_class(world)

    class Outlet(Shop):
        async def cheap(self, key: int) -> str:
            return "cheap " + await world.do(super().product, key)

        product = Shop.__dict__["product"]

    outlet = Outlet("o")
    assert await outlet.cheap(1) == "cheap o 1 en"
    assert await world.do(outlet.product, 1) == "o 1 en"
    assert Shop.loads == 1


async def test_taken_from_its_class(world: World) -> None:
    """From the class the methods take the instance first, as a plain function would; calling needs an instance."""
    Shop = shop_class(world)
    a = Shop("a")
    await world.do(a.product, 1)
    assert (await world.do(Shop.product.lookup, a, 1)).hit
    assert Shop.product.key(a, 1) == a.product.key(1)
    await world.do(Shop.product.invalidate, a, 1)
    assert not (await world.do(a.product.lookup, 1)).hit
    with pytest.raises(UsageError, match="call it on an instance"):
        await world.do(Shop.count, 1)
    for wrong in (lambda: Shop.product.using(grace=0), lambda: Shop.product.many([(1,)])):
        with pytest.raises(UsageError, match="call it on an instance"):
            wrong()


async def test_a_test_may_put_something_in_its_place(world: World) -> None:
    """A cached method is no data descriptor: an instance can be given another, as tests do."""
    Shop = shop_class(world)
    a = Shop("a")
    a.product = Mock(return_value="mocked")
    assert a.product(1) == "mocked"
    assert await world.do(Shop("a").product, 1) == "a 1 en"


async def test_a_static_method_is_a_function(world: World) -> None:
    """@staticmethod goes above @cache.read."""

    class Shop:
        @staticmethod
        @world.read("tax", MINUTE)
        def tax(country: str) -> str:
            return country.upper()

    assert await world.do(Shop.tax, "de") == "DE"
    assert await world.do(Shop().tax, "de") == "DE"
    assert (await world.do(Shop.tax.lookup, "de")).hit


async def test_a_method_shows_no_instance_in_its_text(world: World) -> None:
    """The text of a bound method names the method and the class, never the instance's own text."""

    class Shop:
        def __repr__(self) -> str:
            return "secret"

        @world.read("product", MINUTE, ignore=["self"])
        def product(self, key: int) -> int:
            return key

    assert "secret" not in repr(Shop().product)
    assert "Shop.product" in repr(Shop().product)


async def test_slotted_instances(world: World) -> None:
    """An instance needs no __dict__ and no hash for its methods to be cached."""

    class Shop:
        __slots__ = ("tenant",)
        __hash__ = None  # type: ignore[assignment]

        @world.read("product", MINUTE, vary=lambda self: self.tenant)
        def product(self, key: int) -> str:
            return f"{self.tenant} {key}"

    shop = Shop()
    shop.tenant = 1
    assert [await world.do(shop.product, 1) for _ in range(2)] == ["1 1", "1 1"]
    assert world.cache.stats().endpoints["product"].hits == 1
