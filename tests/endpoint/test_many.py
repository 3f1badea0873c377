"""`many`: order, duplicates, absences and partial failure, with a batch loader and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cacheaside import Contract, Forward, MissingFromBatch, UsageError
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Failed(Exception):
    """One row's own failure."""


class Shelf:
    """An endpoint of one parameter that remembers what its loaders were asked for."""

    def __init__(
        self, world: World, answer: Callable[[list[int]], Any] | None = None, **options: Any
    ) -> None:
        self.world = world
        self.singles: list[int] = []
        self.batches: list[list[int]] = []

        @world.read("item", MINUTE, **options)
        def item(key: int) -> str:
            self.singles.append(key)
            if key < 0:
                raise Failed
            return f"single {key}"

        self.item = item
        if answer is not None:

            def batch(keys: list[int]) -> Any:
                self.batches.append(list(keys))
                return answer(keys)

            item.batch(world.coloured(batch))

    async def many(self, keys: Any, **options: Any) -> list[Any]:
        answers: list[Any] = await self.world.do(self.item.many, keys, **options)
        return answers


def as_mapping(keys: list[int]) -> dict[int, str]:
    return {key: f"batch {key}" for key in reversed(keys)}


def as_list(keys: list[int]) -> list[str]:
    return [f"batch {key}" for key in keys]


def as_tuple(keys: list[int]) -> Sequence[str]:
    return tuple(as_list(keys))


async def test_without_a_batch_loader_each_key_is_loaded_by_itself(world: World) -> None:
    """Answers come in the order of the keys; a key given twice is read once."""
    shelf = Shelf(world)
    assert await shelf.many([3, 1, 3, 2]) == ["single 3", "single 1", "single 3", "single 2"]
    assert sorted(shelf.singles) == [1, 2, 3]
    assert world.cache.stats().endpoints["item"].reads == 3


@pytest.mark.parametrize("answer", [as_mapping, as_list, as_tuple])
async def test_misses_are_loaded_in_one_batch(world: World, answer: Any) -> None:
    """Only what is missing is asked for, each key once, in the order of the keys, in one load."""
    shelf = Shelf(world, answer)
    assert await world.do(shelf.item, 2) == "single 2"
    assert await shelf.many([3, 2, 1, 3]) == ["batch 3", "single 2", "batch 1", "batch 3"]
    assert shelf.batches == [[3, 1]]
    assert await shelf.many([1, 2, 3]) == ["batch 1", "single 2", "batch 3"]
    assert len(shelf.batches) == 1
    assert await world.do(shelf.item, 3) == "batch 3"


async def test_one_missing_key_needs_no_batch(world: World) -> None:
    """A single miss goes through the endpoint's own loader."""
    shelf = Shelf(world, as_list)
    assert await shelf.many([1]) == ["single 1"]
    assert shelf.batches == []


async def test_no_keys_is_no_read(world: World) -> None:
    """An empty list is answered without a load."""
    shelf = Shelf(world, as_list)
    assert await shelf.many([]) == []
    assert await shelf.many(iter(())) == []
    assert (shelf.singles, shelf.batches) == ([], [])


async def test_keys_may_be_any_iterable(world: World) -> None:
    """An iterator of keys is read once, in its order."""
    shelf = Shelf(world, as_list)
    assert await shelf.many(key for key in (2, 1)) == ["batch 2", "batch 1"]


@pytest.mark.parametrize("keys", [42, "42", b"42", None, {1: 2}])
async def test_what_is_no_list_of_keys_is_refused(world: World, keys: Any) -> None:
    """A string is one key, not many; a mapping is not a list of keys either."""
    with pytest.raises(UsageError, match="takes a list of keys"):
        await Shelf(world).many(keys)


async def test_a_key_that_the_batch_left_out_fails_alone(world: World) -> None:
    """Without a None in the annotation a missing key is an error of its own, and the others are kept."""
    shelf = Shelf(world, lambda keys: {key: f"batch {key}" for key in keys if key != 2})
    with pytest.raises(MissingFromBatch, match=r"item.*i2: the batch loader returned nothing.*\| None"):
        await shelf.many([1, 2, 3])
    answers = await shelf.many([1, 2, 3, 4], return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, MissingFromBatch, str, str]
    assert shelf.batches == [[1, 2, 3], [2, 4]]


async def test_partial_failure(world: World) -> None:
    """A value that is an exception fails its own key: raised, or returned in its place with return_exceptions."""

    def answer(keys: list[int]) -> list[Any]:
        return [Failed() if key < 0 else f"batch {key}" for key in keys]

    shelf = Shelf(world, answer)
    answers = await shelf.many([1, -2, 3, -4], return_exceptions=True)
    assert [type(one) for one in answers] == [str, Failed, str, Failed]
    with pytest.raises(Failed):
        await shelf.many([1, -2, -4])
    assert await shelf.many([3, 1]) == ["batch 3", "batch 1"]
    assert shelf.batches == [[1, -2, 3, -4], [-2, -4]]


async def test_partial_failure_without_a_batch_loader(world: World) -> None:
    """Each key is loaded by itself, so one that fails leaves the others be."""
    shelf = Shelf(world)
    answers = await shelf.many([1, -2, 3], return_exceptions=True)
    assert [type(one) for one in answers] == [str, Failed, str]
    with pytest.raises(Failed):
        await shelf.many([1, -2])


async def test_a_batch_that_fails_fails_all_its_keys_and_no_hit(world: World) -> None:
    """What the batch loader raises belongs to every key that it was asked for."""

    def answer(keys: list[int]) -> Any:
        raise Failed

    shelf = Shelf(world, answer)
    await world.do(shelf.item, 1)
    answers = await shelf.many([1, 2, 3], return_exceptions=True)
    assert [type(one) for one in answers] == [str, Failed, Failed]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda keys: ["too few"], r"returned a list of 1 for 2 keys.*a mapping"),
        (lambda keys: "ab", r"returned a str; return a mapping"),
        (lambda keys: None, r"returned a NoneType; return a mapping"),
        (lambda keys: iter(keys), r"returned a .*iterator; return a mapping"),
    ],
)
async def test_an_answer_of_the_wrong_shape_is_told(world: World, answer: Any, says: str) -> None:
    """What cannot be matched with the keys is an error that says what to return."""
    with pytest.raises(UsageError, match=says):
        await Shelf(world, answer).many([1, 2])


async def test_absences(world: World) -> None:
    """Where the annotation allows None, a key left out of the mapping is a row that is not there."""
    batches: list[list[int]] = []

    @world.read("item", Contract("60s", absent_ttl="5s", jitter=0))
    def item(key: int) -> str | None:
        return None

    def batch(keys: list[int]) -> dict[int, str | None]:
        batches.append(keys)
        return {key: str(key) for key in keys if key % 2}

    item.batch(world.coloured(batch))
    assert await world.do(item.many, [1, 2, 3]) == ["1", None, "3"]
    assert await world.do(item.many, [3, 2, 1]) == ["3", None, "1"]
    assert batches == [[1, 2, 3]]
    world.t += 6
    assert await world.do(item.many, [2, 4, 1]) == [None, None, "1"]
    assert batches == [[1, 2, 3], [2, 4]]


async def test_many_keys_of_several_parameters(world: World) -> None:
    """With several parameters a key is a tuple or a mapping of them, defaults bound, and the batch gets tuples."""
    batches: list[list[Any]] = []

    @world.read("price", MINUTE)
    def price(product_id: int, currency: str = "EUR", *, net: bool = False) -> str:
        raise AssertionError

    def batch(keys: list[tuple[int, str, bool]]) -> dict[tuple[int, str, bool], str]:
        batches.append(keys)
        return {key: "/".join(map(str, key)) for key in keys}

    price.batch(world.coloured(batch))
    keys = [(1,), (1, "EUR"), {"product_id": 1}, (1, "USD"), {"product_id": 2, "net": True}]
    answers = await world.do(price.many, keys)
    assert answers == ["1/EUR/False"] * 3 + ["1/USD/False", "2/EUR/True"]
    assert batches == [[(1, "EUR", False), (1, "USD", False), (2, "EUR", True)]]
    with pytest.raises(UsageError, match="each key is a tuple or a mapping of them, not a int"):
        await world.do(price.many, [1, 2])
    with pytest.raises(TypeError):
        await world.do(price.many, [{"id": 1}])


async def test_a_tuple_is_one_key_of_one_parameter(world: World) -> None:
    """With one parameter each key is the argument itself, whatever it is."""

    @world.read("size", MINUTE)
    def size(point: tuple[int, ...]) -> int:
        return len(point)

    assert await world.do(size.many, [(1,), (), (1, 2)]) == [1, 0, 2]


async def test_arguments_that_cannot_be_keys_of_a_mapping(world: World) -> None:
    """A batch loader whose arguments are lists answers with a list; a mapping is an error that says so."""

    @world.read("total", MINUTE)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    answers: list[Any] = [lambda keys: [sum(key) for key in keys], lambda keys: {}]
    total.batch(world.coloured(lambda keys: answers.pop(0)(keys)))
    assert await world.do(total.many, [[1, 2], [3]]) == [3, 3]
    with pytest.raises(UsageError, match=r"cannot be keys of a mapping.*return a list"):
        await world.do(total.many, [[5], [6]])


async def test_a_batch_gets_the_resource(world: World) -> None:
    """With a source the batch loader receives a resource first, opened once for all keys."""
    opened: list[str] = []

    @contextmanager
    def open_handle() -> Iterator[str]:
        opened.append("open")
        yield "handle"

    db = world.cache.source("db", open=open_handle)

    @world.read("item", MINUTE, source=db)
    def item(handle: str, key: int) -> str:
        raise AssertionError

    item.batch(world.coloured(lambda handle, keys: [f"{handle} {key}" for key in keys]))
    assert await world.do(item.many, [1, 2]) == ["handle 1", "handle 2"]
    assert opened == ["open"]


async def test_a_batch_loader_stays_a_function(world: World) -> None:
    """`@f.batch` gives back what it was put on."""
    shelf = Shelf(world)
    loader = world.coloured(lambda keys: keys)
    assert shelf.item.batch(loader) is loader


async def test_value_tags_and_invalidation_reach_each_row_of_a_batch(world: World) -> None:
    """Rows loaded together are still invalidated one by one."""
    names = world.cache.tag("names", str)
    shelf = Shelf(world, as_list, value_tags=lambda value: [names(value)])
    await shelf.many([1, 2, 3])
    await world.invalidate(names("batch 2"))
    assert await shelf.many([1, 2, 3]) == ["batch 1", "single 2", "batch 3"]


async def test_many_counts_each_key(world: World) -> None:
    """Hits and misses of `many` are counted per key, with their reasons."""
    shelf = Shelf(world, as_list)
    await shelf.many([1, 2])
    world.t += 61
    await shelf.many([1, 2, 3])
    await shelf.many([1, 2, 3, 1])
    stats = world.cache.stats().endpoints["item"]
    assert (stats.misses[Forward.ABSENT], stats.misses[Forward.EXPIRED], stats.hits) == (3, 2, 3)
    assert (stats.loads, stats.keys_loaded, stats.loads_per_missed_key, stats.reads) == (2, 5, 1.0, 8)


async def test_many_on_methods(world: World) -> None:
    """A method's batch loader receives its instance, and what varies by it keeps instances apart."""

    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        @world.read("item", MINUTE, vary=lambda self: self.name)
        def item(self, key: int) -> str:
            raise AssertionError

        batch = item.batch(world.coloured(lambda self, keys: [f"{self.name} {key}" for key in keys]))

    north, south = Shop("north"), Shop("south")
    assert await world.do(north.item.many, [1, 2, 1]) == ["north 1", "north 2", "north 1"]
    assert await world.do(south.item.many, [1, 2]) == ["south 1", "south 2"]
    assert await world.do(north.item.many, [2]) == ["north 2"]
