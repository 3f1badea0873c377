"""Which calls share an entry: none that a function could tell apart."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest

from cacheaside import Contract, KeyEncodingError
from tests.endpoint.world import World

MINUTE = Contract("60s")


class Locale(Enum):
    EN = "en"
    DE = "de"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Page:
    number: int
    size: int = 10


async def test_defaults_are_part_of_the_key(world: World) -> None:
    """A default that is given and one that is left out are the same call, by name or by place."""
    calls: list[Any] = []

    @world.read("product", MINUTE)
    def product(product_id: int, locale: Locale = Locale.EN, *, full: bool = False) -> int:
        calls.append((product_id, locale, full))
        return len(calls)

    for arguments, named in (
        ((42,), {}),
        ((42, Locale.EN), {}),
        ((42,), {"locale": Locale.EN}),
        ((), {"product_id": 42, "full": False}),
    ):
        assert await world.do(product, *arguments, **named) == 1
        assert product.key(*arguments, **named) == product.key(42)
    assert await world.do(product, 42, Locale.DE) == 2
    assert await world.do(product, 42, full=True) == 3
    assert calls == [(42, Locale.EN, False), (42, Locale.DE, False), (42, Locale.EN, True)]


LOOK_ALIKES = [1, True, 1.0, "1", b"1", None, "None", 0, False, 0.0, -0.0, "", (), (1,), [1], "(1,)", Colour.RED, "red",
               UUID(int=1), Page(1), Page(1, 11), {"a": 1}, {"a": True}, frozenset({1})]  # fmt: skip


@pytest.mark.parametrize("annotated", ["any", "union", "one"])
async def test_look_alikes_share_no_entry(world: World, annotated: str) -> None:
    """1, True, 1.0 and "1" are four arguments, whatever the annotation promised, in L1 and in the key."""
    if annotated == "any":

        @world.read("echo", MINUTE)
        def echo(value: Any) -> str:
            return repr(value)

    elif annotated == "union":

        @world.read("echo", MINUTE)
        def echo(value: int | str | None) -> str:
            return repr(value)

    else:

        @world.read("echo", MINUTE)
        def echo(value: int) -> str:
            return repr(value)

    for _ in range(2):
        for value in LOOK_ALIKES:
            assert await world.do(echo, value) == repr(value)
    keys = [echo.endpoint.call((value,)).key for value in LOOK_ALIKES]
    for (a, one), (b, other) in combinations(zip(LOOK_ALIKES, keys, strict=True), 2):
        assert one != other, (a, b)
    assert world.cache.stats().endpoints["echo"].loads == len(LOOK_ALIKES)
    assert world.cache.stats().endpoints["echo"].hits == len(LOOK_ALIKES)


async def test_a_second_parameter_cannot_be_told_apart_by_shape_alone(world: World) -> None:
    """Two parameters and one tuple, shifted lists and swapped arguments are different calls."""

    @world.read("pair", MINUTE)
    def pair(a: Any, b: Any = None) -> str:
        return repr((a, b))

    calls = [((1, 2),), (1, 2), (2, 1), ((1,), 2), (1, (2,)), ([1, 2],), ([1], [2]), ("1,2",), ("1", "2")]
    for _ in range(2):
        for arguments in calls:
            expected = repr((*arguments, None)[:2])
            assert await world.do(pair, *arguments) == expected
    assert world.cache.stats().endpoints["pair"].loads == len(calls)


async def test_parameters_of_every_kind(world: World) -> None:
    """Positional-only, starred and keyword-only parameters are called as they were written, and all are in the key."""

    @world.read("kinds", MINUTE)
    def kinds(first: int, /, second: int = 2, *rest: int, flag: bool = False, **more: int) -> str:
        return repr((first, second, rest, flag, sorted(more.items())))

    for _ in range(2):
        assert await world.do(kinds, 1) == "(1, 2, (), False, [])"
        assert await world.do(kinds, 1, 3, 4, 5) == "(1, 3, (4, 5), False, [])"
        assert await world.do(kinds, 1, flag=True) == "(1, 2, (), True, [])"
        assert await world.do(kinds, 1, z=1, a=2) == "(1, 2, (), False, [('a', 2), ('z', 1)])"
        assert await world.do(kinds, 1, first=9) == "(1, 2, (), False, [('first', 9)])"
    assert kinds.key(1, z=1, a=2) == kinds.key(1, a=2, z=1), "the order of keywords is no part of a call"
    with pytest.raises(TypeError, match="positional"):
        await world.do(kinds)


async def test_a_call_that_does_not_fit_is_a_type_error(world: World) -> None:
    """A wrong call fails as it does for any function, and names the function."""

    @world.read("product", MINUTE)
    def product(product_id: int) -> int:
        return product_id

    for arguments, named in (((), {}), ((1, 2), {}), ((1,), {"locale": "en"})):
        for call in (product, product.lookup, product.strong, product.invalidate, product.key):
            with pytest.raises(TypeError, match=r"product\(\)"):
                await world.do(call, *arguments, **named)


async def test_what_cannot_be_encoded_is_refused_at_the_call(world: World) -> None:
    """An argument without a canonical encoding is an error that names its class, and nothing is loaded."""

    @world.read("product", MINUTE)
    def product(product: Any) -> int:
        raise AssertionError

    with pytest.raises(KeyEncodingError, match="object"):
        await world.do(product, object())
    assert world.cache.stats().endpoints["product"].loads == 0


async def test_ignored_parameters_reach_the_loader_and_not_the_key(world: World) -> None:
    """What is named in ignore= is passed on, may be anything, and tells no entries apart."""
    seen: list[object] = []

    @world.read("product", MINUTE, ignore=["trace"])
    def product(product_id: int, trace: object = None) -> int:
        seen.append(trace)
        return product_id

    token = object()
    assert await world.do(product, 42, token) == 42
    assert await world.do(product, 42, trace=object()) == 42
    assert seen == [token]
    assert product.key(42, token) == product.key(42)


async def test_what_is_ignored_may_have_any_default(world: World) -> None:
    """A mutable default is refused where it would be part of keys, and nowhere else."""

    @world.read("product", MINUTE, ignore=["seen"])
    def product(product_id: int, seen: list[int] = []) -> int:  # noqa: B006 that is what is tested
        seen.append(product_id)
        return len(seen)

    assert [await world.do(product, 1), await world.do(product, 1), await world.do(product, 2)] == [1, 1, 2]


async def test_the_version_is_part_of_the_key(world: World) -> None:
    """Raising version= leaves nothing behind that the new loader could be answered with."""
    keys = set()
    for version in (1, 2, "2b"):
        world.cache = world.new_cache()

        @world.read("product", MINUTE, version=version)
        def product(product_id: int) -> int:
            return product_id

        keys.add(product.key(1))
    assert len(keys) == 3


async def test_a_changed_annotation_is_another_key(world: World) -> None:
    """Old and new deploys run side by side: another shape of the value is another key, and so a miss."""

    @world.read("product", MINUTE)
    def product(product_id: int) -> dict[str, int]:
        return {}

    before = product.key(1)
    world.cache = world.new_cache()

    @world.read("product", MINUTE)
    def product(product_id: int) -> dict[str, str]:
        return {}

    assert product.key(1) != before


tenant: ContextVar[str | None] = ContextVar("tenant")
region: ContextVar[str | None] = ContextVar("region", default="eu")


async def test_vary_by_a_context_variable(world: World) -> None:
    """What a context variable holds is part of the key: no tenant reads another's value, set, unset or None."""

    @world.read("product", MINUTE, vary=tenant)
    def product(product_id: int) -> str:
        return repr(tenant.get("unset"))

    expected = "'unset'"
    for _ in range(2):
        assert await world.do(product, 1) == expected
    for value in ("a", "b", None):
        token = tenant.set(value)
        for _ in range(2):
            assert await world.do(product, 1) == repr(value)
        tenant.reset(token)
    assert await world.do(product, 1) == expected
    assert world.cache.stats().endpoints["product"].loads == 4


async def test_a_context_variable_has_its_own_default(world: World) -> None:
    """Left at its default, set to it, and set to None: the loader sees two values, and so does the key."""

    @world.read("product", MINUTE, vary=[region])
    def product(product_id: int) -> str:
        return repr(region.get())

    assert await world.do(product, 1) == "'eu'"
    for value in ("eu", None, "us"):
        token = region.set(value)
        assert await world.do(product, 1) == repr(value)
        region.reset(token)
    assert world.cache.stats().endpoints["product"].loads == 3


async def test_vary_by_functions(world: World) -> None:
    """A function in vary= sees the parameters it names, and what it returns tells entries apart."""
    bucket = {"now": 1}

    @world.read(
        "product", MINUTE, ignore=["page"], vary=[lambda page: page.size, lambda: bucket["now"], tenant]
    )
    def product(product_id: int, page: Page) -> int:
        return page.size * 100 + bucket["now"]

    assert await world.do(product, 1, Page(1, 10)) == 1001
    assert await world.do(product, 1, Page(2, 10)) == 1001, "the page's number is in no part of the key"
    assert await world.do(product, 1, Page(1, 20)) == 2001
    bucket["now"] = 2
    assert await world.do(product, 1, Page(1, 10)) == 1002
    assert world.cache.stats().endpoints["product"].loads == 3


async def test_what_varies_is_told_apart_by_type_too(world: World) -> None:
    """Values of vary= obey the equality of keys: 1 and True are two."""
    current: list[Any] = [None]

    @world.read("product", MINUTE, vary=lambda: current[0])
    def product(product_id: int) -> str:
        return repr(current[0])

    for _ in range(2):
        for value in LOOK_ALIKES:
            current[0] = value
            assert await world.do(product, 1) == repr(value)
    assert world.cache.stats().endpoints["product"].loads == len(LOOK_ALIKES)


async def test_a_function_with_a_default_is_given_the_parameter_of_that_name(world: World) -> None:
    """A tags function whose parameter has a default gets the call's own value: else it would tag the wrong thing."""
    names = world.cache.tag("names", str)
    products = world.cache.tag("products", int)

    @world.read(
        "product",
        MINUTE,
        tags=lambda product_id, locale="en", make=products: [make(product_id), names(locale)],
    )
    def product(product_id: int, locale: str) -> int:
        return product_id

    await world.do(product, 1, "de")
    await world.invalidate(names("en"))
    assert (await world.do(product.lookup, 1, "de")).hit
    await world.invalidate(names("de"))
    assert not (await world.do(product.lookup, 1, "de")).hit


async def test_a_tags_function_may_take_its_parameters_by_place(world: World) -> None:
    """Positional-only parameters of a tags function are filled by their names as well."""
    products = world.cache.tag("products", int)

    def tags(product_id: int, /) -> list[Any]:
        return [products(product_id)]

    @world.read("product", MINUTE, tags=tags)
    def product(locale: str, product_id: int) -> int:
        return product_id

    await world.do(product, "de", 7)
    await world.invalidate(products(7))
    assert not (await world.do(product.lookup, "de", 7)).hit


async def test_long_arguments_are_hit_too(world: World) -> None:
    """An argument that is too long to be held raw is found by its encoded key."""

    @world.read("search", MINUTE)
    def search(query: str | int) -> str:
        return str(query)[-5:]

    queries: list[Any] = ["x" * 256, "x" * 257, "x" * 5000, 2**256 - 1, 2**256, -(2**3000)]
    for query in queries:
        assert await world.do(search, query) == str(query)[-5:]
        assert (await world.do(search.lookup, query)).hit
        assert await world.do(search, query) == str(query)[-5:]
    assert world.cache.stats().endpoints["search"].loads == len(queries)
    held = search.endpoint.table.entries
    assert sum(type(slot) in (str, int) for slot in held) == 2
