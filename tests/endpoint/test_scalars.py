"""What is told about a key must name a key that is meant: values of undeclared classes are refused, and never shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, Optional, Union
from uuid import UUID

import pytest

from cacheaside import Contract, UsageError
from cacheaside.endpoint.scalars import scalar_classes
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)
TOLD = ("invalidate", "purge", "refresh", "key")
ProductId = NewType("ProductId", int)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


@pytest.mark.parametrize("what", TOLD)
async def test_a_value_of_another_class_is_refused(world: World, what: str) -> None:
    """`"7"` for a parameter declared `int` names a key that nobody meant: the error says so, without the value."""
    loads: list[Any] = []

    @world.read("product", MINUTE)
    def product(product_id: int, locale: str = "en") -> int:
        loads.append(product_id)
        return 1

    await world.do(product, 7)
    with pytest.raises(UsageError) as caught:
        await world.do(getattr(product, what), "seven secrets")
    message = str(caught.value)
    assert message.startswith(f"product.{what} got a str for parameter 'product_id', which is declared int: ")
    assert "seven secrets" not in message
    with pytest.raises(UsageError, match=r"got a NoneType for parameter 'locale', which is declared str"):
        await world.do(getattr(product, what), 7, locale=None)
    await world.do(getattr(product, what), 7)
    assert set(loads) == {7}


@pytest.mark.parametrize("given", [True, 7.0, Level.ONE, None, b"7"], ids=repr)
async def test_what_equals_or_derives_is_another_class(world: World, given: Any) -> None:
    """A value that is equal, or of a subclass, has a key of its own too."""

    @world.read("product", MINUTE)
    def product(product_id: int) -> int:
        return 1

    assert await world.do(product, given) == 1
    with pytest.raises(UsageError, match=f"got a {type(given).__name__} for"):
        await world.do(product.invalidate, given)


async def test_reads_and_unknown_annotations_are_free(world: World) -> None:
    """Reads take what they took; where the annotation does not tell plain classes alone, nothing is checked."""

    @world.read("anything", MINUTE)
    def anything(a: Any, b: object, c: list[int], d: float, e=None) -> int:  # type: ignore[no-untyped-def]
        return 1

    await world.do(anything.invalidate, "a", 1, (1,), 1, Colour.RED)
    await world.do(anything.using(grace=0), "a", 1, (1,), 1, Colour.RED)


async def test_methods_and_variable_parameters(world: World) -> None:
    """The instance and what is ignored are left alone; each of `*` and `**` is looked at."""

    class Shop:
        @world.read("prices", MINUTE, ignore=["self", "trace"])
        def prices(self, *ids: int, trace: int = 0, **named: str) -> int:
            return len(ids)

    shop = Shop()
    await world.do(shop.prices.invalidate, 1, 2, trace="anything", colour="red")
    with pytest.raises(UsageError, match=r"got a str for parameter 'ids', which is declared int"):
        await world.do(shop.prices.invalidate, 1, "2")
    with pytest.raises(UsageError, match=r"got a int for parameter 'named', which is declared str"):
        await world.do(shop.prices.invalidate, colour=1)


TAKES: list[tuple[Any, set[type] | None]] = [
    (int, {int}),
    (Optional[int], {int, type(None)}),  # noqa: UP045 as older code writes it
    (Union[int, str], {int, str}),  # noqa: UP007 the same
    (int | None, {int, type(None)}),
    (float, {float, int}),
    (Annotated[UUID, "an id"], {UUID}),
    (ProductId, {int}),
    (Colour, {Colour}),
    (Enum, {Enum}),
    (Literal["a", 1], {str, int}),
    (date, {date}),
    (datetime, None),
    (Any, None),
    (object, None),
    (int | list[int], None),
    (list, None),
    ("int", None),
]


@pytest.mark.parametrize(("annotation", "classes"), TAKES, ids=str)
def test_what_an_annotation_tells(annotation: Any, classes: set[type] | None) -> None:
    """Plain classes, and nothing where any other class may come."""
    assert scalar_classes(annotation) == (None if classes is None else frozenset(classes))


TAKEN: list[tuple[Any, Any]] = [
    (int | None, None),
    (float, 1),
    (Colour, Colour.RED),
    (Enum, Colour.RED),
    (Literal["a", "b"], "b"),
    (datetime, datetime(2013, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("annotation", "value"), TAKEN, ids=str)
def test_what_is_declared_is_taken(annotation: Any, value: Any) -> None:
    """A value of a declared class is told without complaint."""

    def loader(key: Any) -> int:
        return 1

    loader.__annotations__["key"] = annotation
    invalidate: Callable[..., None] = World("blocking").read("told", MINUTE)(loader).invalidate
    invalidate(value)
