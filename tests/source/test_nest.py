"""Reads inside a load: what they read becomes part of what the outer entry depends on."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from cacheaside import Cache, Contract, NotStored, Served, UsageError
from cacheaside.source.nest import OpenNest, current, scope
from tests.held import HeldLoads, settled


class Hands:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="nest")


@pytest.fixture
def clock(cache: Cache) -> Hands:
    hands = Hands()
    cache._use_clock(hands.now)
    return hands


class Shop:
    """Two endpoints, one computed from the other; `rows` is the source."""

    def __init__(self, cache: Cache) -> None:
        self.rows = {1: 10, 2: 20}
        self.loads = {"price": 0, "basket": 0}
        self.products = products = cache.tag("products", int)
        self.tens = tens = cache.tag("tens", int)
        self.baskets = baskets = cache.tag("baskets", int)

        @cache.read(
            "price",
            Contract(ttl="60s", jitter=0),
            tags=lambda key: [products(key)],
            value_tags=lambda price: [tens(price // 10)],
        )
        async def price(key: int) -> int:
            self.loads["price"] += 1
            return self.rows[key]

        @cache.read("basket", Contract(ttl="60s", jitter=0), tags=lambda key: [baskets(key)])
        async def basket(key: int) -> int:
            self.loads["basket"] += 1
            return await price(1) + await price(2)

        self.price: Any = price
        self.basket: Any = basket


@pytest.fixture
def shop(cache: Cache) -> Shop:
    return Shop(cache)


async def test_an_outer_entry_falls_with_the_tags_of_the_inner_ones_arguments(
    cache: Cache, shop: Shop
) -> None:
    """Invalidating what an inner read was computed from invalidates the outer entry."""
    assert await shop.basket(1) == 30
    shop.rows[2] = 25
    await cache.invalidate(shop.products(2))
    assert await shop.basket(1) == 35
    assert shop.loads == {"price": 3, "basket": 2}


async def test_an_outer_entry_falls_with_the_tags_of_the_inner_ones_value(cache: Cache, shop: Shop) -> None:
    """Tags that only the inner value named count for the outer entry too."""
    assert await shop.basket(1) == 30
    shop.rows[1] = 12
    await cache.invalidate(shop.tens(1))
    assert await shop.basket(1) == 32


async def test_an_outer_entry_falls_with_the_inner_key(cache: Cache, shop: Shop) -> None:
    """Invalidating the inner read by its arguments invalidates the outer entry."""
    assert await shop.basket(1) == 30
    shop.rows[1] = 11
    await shop.price.invalidate(1)
    assert await shop.basket(1) == 31


@pytest.mark.parametrize("warm", [True, False])
async def test_the_outer_entry_is_as_old_as_the_oldest_of_what_it_read(
    cache: Cache, shop: Shop, clock: Hands, warm: bool
) -> None:
    """Age is joined: what was computed from an older entry counts from that entry's load."""
    if warm:
        await shop.price(1)
        clock.at += 40
    await shop.basket(1)
    found = await shop.basket.lookup(1)
    assert found.age_s == (40 if warm else 0)
    clock.at += 21
    assert (await shop.basket.lookup(1)).served is (Served.LOADED if warm else Served.FRESH)


async def test_an_inner_read_under_a_writer_makes_the_outer_unstorable(cache: Cache, shop: Shop) -> None:
    """While a write of the inner read's tag is under way neither entry is stored."""
    async with cache.changing(shop.products(1)):
        assert not (await shop.basket.lookup(1)).stored
        assert not (await shop.price.lookup(1)).stored
    assert (await shop.basket.lookup(1)).stored


async def test_an_inner_value_that_cannot_be_stored_makes_the_outer_unstorable(cache: Cache) -> None:
    """When the inner value's tags cannot be asked for, the outer entry does not go without them."""

    def no_tags(value: int) -> list[Any]:
        raise KeyError("no such table")

    @cache.read("inner", Contract(ttl="60s"), value_tags=no_tags)
    async def inner(key: int) -> int:
        return key

    @cache.read("outer", Contract(ttl="60s"))
    async def outer(key: int) -> int:
        return await inner(key)

    assert (await inner.lookup(1)).not_stored is NotStored.UNSTORABLE
    assert not (await outer.lookup(1)).stored


async def test_strong_reads_and_batches_inside_a_load_count_too(cache: Cache, shop: Shop) -> None:
    """`strong` and `many` inside a load join the outer entry as a plain read does."""

    @cache.read("by_strong", Contract(ttl="60s"))
    async def by_strong(key: int) -> int:
        value: int = await shop.price.strong(1)
        return value

    @cache.read("by_many", Contract(ttl="60s"))
    async def by_many(key: int) -> int:
        return sum(await shop.price.many([1, 2]))

    @cache.read("by_using", Contract(ttl="60s"))
    async def by_using(key: int) -> int:
        value: int = await shop.price.using(ttl="1s")(1)
        return value

    @cache.read("by_inline", Contract(ttl="60s"))
    async def by_inline(key: int) -> int:
        return await cache.get_or_load(
            "row 1", lambda: shop.rows[1], Contract(ttl="60s"), type=int, tags=[shop.products(1)]
        )

    readers = (by_strong, by_many, by_using, by_inline)
    before = [await reader(1) for reader in readers]
    assert [(await reader.lookup(1)).served for reader in readers] == [Served.FRESH] * 4
    shop.rows[1] += 1
    await cache.invalidate(shop.products(1))
    assert [await reader(1) for reader in readers] == [value + 1 for value in before]


async def test_an_invalidation_between_inner_and_outer_keeps_the_outer_out(cache: Cache) -> None:
    """A change of an inner tag after the inner read and before the outer load ends is seen when the outer lands."""
    held = HeldLoads()
    numbers = cache.tag("numbers", int)
    row = 1

    @cache.read("inner", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    async def inner(key: int) -> int:
        return row

    @cache.read("outer", Contract(ttl="60s"))
    async def outer(key: int) -> int:
        value = await inner(key)
        await held()
        return value

    reading = asyncio.create_task(outer.lookup(1))
    await held.until_began()
    row = 2
    await cache.invalidate(numbers(1))
    late = asyncio.create_task(
        outer(1)
    )  # after an invalidation that the open load does not know it depends on
    await settled(cache._host._async_flights, outer.key(1), 2)
    held.let_go()
    found = await reading
    assert (found.value, found.stored) == (1, False)
    assert await late == 2


async def test_two_generations_of_one_tag_do_not_agree(cache: Cache, shop: Shop) -> None:
    """A load that read a tag's entry both before and after its change computed something that never was: not stored."""

    @cache.read("twice", Contract(ttl="60s"))
    async def twice(key: int) -> int:
        first = await shop.price(1)
        shop.rows[1] += 1
        await cache.invalidate(shop.products(1))
        return int(first + await shop.price(1))

    assert not (await twice.lookup(1)).stored


async def test_a_load_may_read_itself(cache: Cache) -> None:
    """Recursion, with other arguments, is a load inside a load."""
    loads = 0
    numbers = cache.tag("numbers", int)

    @cache.read("factorial", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    async def factorial(key: int) -> int:
        nonlocal loads
        loads += 1
        return key * await factorial(key - 1) if key else 1

    assert await factorial(10) == 3628800
    assert loads == 11
    assert await factorial(9) == 362880
    assert loads == 11
    await cache.invalidate(numbers(3))
    assert await factorial(10) == 3628800
    assert loads == 11 + 8  # all from 3 up; what is below stands


@pytest.mark.blocks_loop
@pytest.mark.parametrize("colour", ["async", "def"])
async def test_a_load_that_needs_its_own_result_says_so(cache: Cache, colour: str) -> None:
    """A circle of loads of the same keys is an error that names their endpoints, not a recursion without end."""
    loads: list[str] = []

    @cache.read("first", Contract(ttl="60s"))
    async def first(key: int) -> int:
        loads.append("first")
        return await second(key)

    @cache.read("second", Contract(ttl="60s"))
    async def second(key: int) -> int:
        loads.append("second")
        return await first(key)

    @cache.read("first now", Contract(ttl="60s"))
    def first_now(key: int) -> int:
        loads.append("first")
        return second_now(key)

    @cache.read("second now", Contract(ttl="60s"))
    def second_now(key: int) -> int:
        loads.append("second")
        return first_now(key)

    if colour == "async":
        with pytest.raises(
            UsageError, match=r"^first reads itself .*: first -> second -> first\. A load cannot"
        ):
            await first(1)
    else:
        with pytest.raises(UsageError, match=r"first now -> second now -> first now\."):
            first_now(1)
    assert loads == ["first", "second"]


async def test_a_load_that_needs_itself_in_a_batch_says_so(cache: Cache) -> None:
    """Any key of a batch that the loader reads is one that it is loading."""

    @cache.read("row", Contract(ttl="60s"))
    async def row(key: int) -> int:
        return key

    @row.batch
    async def _(keys: list[int]) -> list[int]:
        return [await row(max(keys)) for _ in keys]

    answers = await row.many([1, 2], return_exceptions=True)
    assert [type(answer) for answer in answers] == [UsageError] * 2
    assert await row(1) == 1


async def test_a_load_may_read_what_is_held_of_itself(cache: Cache) -> None:
    """A refresh may build on the value before it, and two caches may have loads of one name."""

    @cache.read("sum", Contract(ttl="60s"))
    async def total(key: int) -> int:
        return 0

    @cache.read("grown", Contract(ttl="60s"))
    async def grown(key: int) -> int:
        return await grown(key) + 1 if built else 1

    built = False
    assert await grown(1) == 1
    built = True
    await grown.refresh(1)
    assert await grown(1) == 2

    other = Cache(namespace="nest")

    @other.read("sum", Contract(ttl="60s"))
    async def theirs(key: int) -> int:
        return await total(key) + 1

    assert await theirs(1) == 1


async def test_tasks_that_a_loader_starts_join_it(cache: Cache, shop: Shop) -> None:
    """Reads in tasks that the loader gathers count for the outer entry as if it had made them itself."""

    @cache.read("gathered", Contract(ttl="60s"))
    async def gathered(key: int) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(shop.price(number)) for number in (1, 2)]
        return sum(int(task.result()) for task in tasks)

    assert await gathered(1) == 30
    shop.rows[2] = 21
    await cache.invalidate(shop.products(2))
    assert await gathered(1) == 31


async def test_threads_that_a_loader_starts_in_its_context_join_it(cache: Cache, shop: Shop) -> None:
    """A sync endpoint read through asyncio.to_thread inside a load counts for the outer entry."""

    @cache.read("cost", Contract(ttl="60s"), tags=lambda key: [shop.products(key)])
    def cost(key: int) -> int:
        return shop.rows[key]

    @cache.read("threaded", Contract(ttl="60s"))
    async def threaded(key: int) -> int:
        return await asyncio.to_thread(cost, 1)

    assert await threaded(1) == 10
    shop.rows[1] = 11
    await cache.invalidate(shop.products(1))
    assert await threaded(1) == 11


async def test_a_task_that_outlives_its_load_reads_as_anybody(cache: Cache, shop: Shop) -> None:
    """A task that a loader left behind is not inside of it any more: its reads are ordinary, and hit."""
    may_read = asyncio.Event()
    left: list[asyncio.Task[Any]] = []

    async def read_later() -> Any:
        await may_read.wait()
        await shop.price(1)
        return await shop.price.lookup(1), scope.get()

    @cache.read("leaving", Contract(ttl="60s"))
    async def leaving(key: int) -> int:
        left.append(asyncio.create_task(read_later()))
        return key

    assert await leaving(1) == 1
    may_read.set()
    found, inside = await left[0]
    assert found.served is Served.FRESH
    assert inside is None
    shop.rows[1] = 11
    await cache.invalidate(shop.products(1))
    assert (await leaving.lookup(1)).served is Served.FRESH


async def test_a_read_of_another_cache_makes_the_outer_unstorable(cache: Cache) -> None:
    """What is invalidated in one cache is not heard in another, so what was computed from it is not kept there."""
    other = Cache(namespace="other")
    theirs = other.tag("theirs", int)
    row = 1

    @other.read("inner", Contract(ttl="60s"), tags=lambda key: [theirs(key)])
    async def inner(key: int) -> int:
        return row

    @cache.read("outer", Contract(ttl="60s"))
    async def outer(key: int) -> int:
        return await inner(key)

    assert not (await outer.lookup(1)).stored
    assert (await inner.lookup(1)).served is Served.FRESH
    row = 2
    await other.invalidate(theirs(1))
    assert await outer(1) == 2


async def test_a_nested_read_does_not_take_a_value_in_grace(cache: Cache, shop: Shop, clock: Hands) -> None:
    """Grace is for those who ask, not for what is computed and kept: a nested read loads what is past its ttl."""

    @cache.read("gracious", Contract(ttl="60s", grace="5m", jitter=0))
    async def gracious(key: int) -> int:
        return shop.rows[key]

    @cache.read("outer", Contract(ttl="60s"))
    async def outer(key: int) -> int:
        return await gracious(key)

    await gracious(1)
    shop.rows[1] = 11
    clock.at += 61
    assert await outer(1) == 11


@pytest.mark.parametrize("colour", ["async", "def"])
async def test_a_remembered_error_falls_with_what_was_read_before_it(cache: Cache, colour: str) -> None:
    """An exception that is remembered was computed from the loader's reads, and goes with their tags."""
    numbers = cache.tag("numbers", int)
    rows: set[int] = set()
    contract = Contract(ttl="60s", error_ttl={LookupError: "60s"})

    @cache.read("there", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    async def there(key: int) -> bool:
        return key in rows

    @cache.read("there_now", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    def there_now(key: int) -> bool:
        return key in rows

    @cache.read("found", contract)
    async def found(key: int) -> int:
        if not await there(key):
            raise LookupError(key)
        return key

    @cache.read("found_now", contract)
    def found_now(key: int) -> int:
        if not there_now(key):
            raise LookupError(key)
        return key

    async def read() -> int:
        return await found(1) if colour == "async" else found_now(1)

    for _ in range(2):
        with pytest.raises(LookupError):
            await read()
    rows.add(1)
    with pytest.raises(LookupError):
        await read()  # it is remembered
    await cache.invalidate(numbers(1))
    assert await read() == 1


def test_what_is_closed_falls_back_to_what_is_around_it() -> None:
    """Code left over from an inner load is inside the outer one for as long as that goes on."""
    source: Any = object()
    outer = OpenNest(source, None)
    inner = OpenNest(source, outer)

    def look() -> list[OpenNest | None]:
        scope.set(inner)
        seen = [current()]
        inner.closed = True
        seen.append(current())
        outer.closed = True
        return [*seen, current(), scope.get()]

    assert contextvars.copy_context().run(look) == [inner, outer, None, None]


def test_an_inner_load_of_another_source_finds_the_turn_of_the_outermost() -> None:
    """The turn to borrow is that of the nearest load around that is of the same source."""
    first: Any = object()
    second: Any = object()
    footing: Any = object()
    outer = OpenNest(first, None)
    outer.footing = footing
    inner = OpenNest(second, outer)
    assert inner.footing_of(first) is footing
    assert inner.footing_of(second) is None
