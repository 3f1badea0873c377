"""No reader can change what another one sees, whatever it does to the value it was given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from cacheaside import Contract
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Point(msgspec.Struct):
    x: int
    labels: list[str] = []


class Frozen(msgspec.Struct, frozen=True):
    x: int


@dataclass
class Order:
    lines: list[int] = field(default_factory=list)


def spoil(value: Any) -> None:
    """Change whatever can be changed in `value`."""
    match value:
        case Point():
            value.x = -1
            value.labels.append("spoilt")
        case Order():
            value.lines.append(-1)
        case dict():
            for inner in value.values():
                spoil(inner)
            value["spoilt"] = []
        case list():
            for inner in value:
                spoil(inner)
            value.append("spoilt")
        case set():
            value.add("spoilt")


MUTABLE: dict[str, tuple[Any, Callable[[], Any]]] = {
    "list of int": (list[int], lambda: [1, 2]),
    "list of lists": (list[list[int]], lambda: [[1], [2]]),
    "dict": (dict[str, int], lambda: {"a": 1}),
    "dict of lists": (dict[str, list[int]], lambda: {"a": [1]}),
    "list of str": (list[str], lambda: ["a"]),
    "set": (set[str], lambda: {"a"}),
    "struct": (Point, lambda: Point(1, ["a"])),
    "structs": (list[Point], lambda: [Point(1, ["a"])]),
    "dataclass": (Order, lambda: Order([1])),
    "maybe a struct": (Point | None, lambda: Point(1, [])),
    "untyped": (Any, lambda: {"a": [1, {"b": [2]}]}),
}


def returning(world: World, annotation: Any, make: Callable[[], Any], kept: list[Any]) -> Any:
    def load(key: int) -> Any:
        value = make()
        kept.append(value)
        return value

    load.__annotations__["return"] = annotation
    return world.read("value", MINUTE)(load)


@pytest.mark.parametrize("kind", MUTABLE)
async def test_what_a_caller_changes_nobody_sees(world: World, kind: str) -> None:
    """Whoever changes its value, the loader, the first caller or a later one, changes it for itself alone."""
    annotation, make = MUTABLE[kind]
    kept: list[Any] = []
    value = returning(world, annotation, make, kept)
    for _ in range(3):
        got = await world.do(value, 1)
        assert got == make()
        spoil(got)
        assert (await world.do(value.lookup, 1)).value == make()
        spoil((await world.do(value.lookup, 1)).value)
        spoil((await world.do(value.many, [1, 1]))[0])
        spoil(kept[0])
    assert await world.do(value, 1) == make()
    assert len(kept) == 1


@pytest.mark.parametrize("kind", MUTABLE)
async def test_followers_of_one_load_get_values_of_their_own(kind: str) -> None:
    """Callers who share a load share no object."""
    world = World("async")
    annotation, make = MUTABLE[kind]
    release = asyncio.Event()

    async def load(key: int) -> Any:
        await release.wait()
        return make()

    load.__annotations__["return"] = annotation
    value = world.cache.read("value", MINUTE)(load)
    readers = [asyncio.ensure_future(value(1)) for _ in range(3)]
    await asyncio.sleep(0)
    release.set()
    for reader in readers:
        got = await reader
        assert got == make()
        spoil(got)
    assert await value(1) == make()
    assert world.cache.stats().endpoints["value"].loads == 1


@pytest.mark.parametrize("kind", MUTABLE)
def test_threads_that_share_a_load_get_values_of_their_own(kind: str) -> None:
    """The same between threads."""
    world = World("blocking")
    annotation, make = MUTABLE[kind]
    started, release = threading.Event(), threading.Event()
    got: list[Any] = []

    def load(key: int) -> Any:
        started.set()
        assert release.wait(10)
        return make()

    load.__annotations__["return"] = annotation
    value = world.cache.read("value", MINUTE)(load)

    def read() -> None:
        mine = value(1)
        got.append(mine == make())
        spoil(mine)

    threads = [threading.Thread(target=read) for _ in range(3)]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert got == [True] * 3
    assert value(1) == make()
    assert world.cache.stats().endpoints["value"].loads == 1


@pytest.mark.parametrize(
    ("annotation", "made"),
    [
        (int, 10**6),
        (str, "text"),
        (Frozen, Frozen(1)),
        (tuple[int, ...], (1, 2)),
        (frozenset[str], frozenset("a")),
    ],
    ids=str,
)
async def test_what_nobody_can_change_is_shared(world: World, annotation: Any, made: Any) -> None:
    """An immutable value is handed out as it is: every hit is the same object."""
    value = returning(world, annotation, lambda: made, [])
    first = await world.do(value, 1)
    assert await world.do(value, 1) is first
    assert await world.do(value, 1) is first
    assert first == made


async def test_a_hit_equals_the_miss_before_it(world: World) -> None:
    """What the first caller gets is what all later ones get: the annotated type, not the loader's own object."""

    class Detailed(Point):
        secret: str = "kept inside"

    value = returning(world, Point, lambda: Detailed(1, ["a"]), [])
    for _ in range(3):
        assert type(await world.do(value, 1)) is Point


async def test_an_absent_row_among_mutable_values(world: World) -> None:
    """None is served from the cache where values are copied for each reader."""

    @world.read("value", Contract("60s", absent_ttl="60s", jitter=0))
    def value(key: int) -> list[int] | None:
        return None if key else [1]

    for _ in range(3):
        assert await world.do(value, 1) is None
        assert await world.do(value, 0) == [1]
    assert world.cache.stats().endpoints["value"].loads == 2
