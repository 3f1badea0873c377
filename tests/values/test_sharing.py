"""Sharing: no reader can change what another one sees, by the cheapest means that guarantees it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from cacheaside.values import Sharing, codec_for

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1


class Frozen(msgspec.Struct, frozen=True):
    a: int
    b: tuple[str, ...] = ()


class FrozenAroundList(msgspec.Struct, frozen=True):
    a: list[int]


class Mutable(msgspec.Struct):
    a: int
    b: str | None = None


class MutableAroundMutable(msgspec.Struct):
    inner: Mutable


class Box(msgspec.Struct, Generic[T], frozen=True):
    content: T


class FrozenTree(msgspec.Struct, frozen=True):
    children: tuple[FrozenTree, ...] = ()


class Tree(msgspec.Struct):
    children: list[Tree] = []


class Tagged(msgspec.Struct, tag=True):
    a: int


class AlsoTagged(msgspec.Struct, tag=True, frozen=True):
    a: int


@dataclass
class Plain:
    a: int
    b: str = ""


@dataclass
class PlainChild(Plain):
    c: int = 0


@dataclass(slots=True)
class Slots:
    a: int


@dataclass(frozen=True)
class FrozenPlain:
    a: int


@dataclass(frozen=True)
class FrozenWithHidden:
    a: int
    seen: list[int] = field(init=False, default_factory=list)


@attrs.frozen
class FrozenAttrsWithHidden:
    a: int
    seen: list[int] = attrs.field(init=False, factory=list)


@attrs.frozen
class FrozenAttrs:
    a: int


@attrs.define
class MutableAttrs:
    a: int


class Pair(NamedTuple):
    a: int


class PairOfList(NamedTuple):
    a: list[int]


class Row(TypedDict):
    a: int


class RowOfList(TypedDict):
    a: list[int]


class FrozenModel(pydantic.BaseModel, frozen=True):
    a: int
    pair: tuple[int, ...] = ()


class FrozenModelOfList(pydantic.BaseModel, frozen=True):
    a: list[int]


class MutableModel(pydantic.BaseModel):
    a: int


class OpenModel(pydantic.BaseModel, frozen=True, extra="allow"):
    a: int


CASES: list[tuple[Any, Any, Sharing]] = [
    (int, 1, Sharing.SHARED),
    (int | None, None, Sharing.SHARED),
    (bytes, b"a", Sharing.SHARED),
    (Color, Color.RED, Sharing.SHARED),
    (
        tuple[Decimal, UUID, datetime],
        (Decimal(1), UUID(int=1), datetime.fromisoformat("2024-01-01")),
        Sharing.SHARED,
    ),
    (frozenset[str], frozenset("a"), Sharing.SHARED),
    (Frozen, Frozen(1), Sharing.SHARED),
    (Frozen | None, Frozen(1, ("x",)), Sharing.SHARED),
    (tuple[Frozen, ...], (Frozen(1),), Sharing.SHARED),
    (Box[int], Box(1), Sharing.SHARED),
    (FrozenTree, FrozenTree((FrozenTree(),)), Sharing.SHARED),
    (FrozenPlain, FrozenPlain(1), Sharing.SHARED),
    (FrozenAttrs, FrozenAttrs(1), Sharing.SHARED),
    (Pair, Pair(1), Sharing.SHARED),
    (FrozenModel, FrozenModel(a=1, pair=(1,)), Sharing.SHARED),
    (Box[FrozenModel], Box(FrozenModel(a=1)), Sharing.SHARED),
    (list[int], [1], Sharing.COPY),
    (list[Frozen], [Frozen(1)], Sharing.COPY),
    (list[int] | None, [1], Sharing.COPY),
    (list[int] | None, None, Sharing.COPY),
    (set[str], {"a"}, Sharing.COPY),
    (dict[str, int], {"a": 1}, Sharing.COPY),
    (dict[Pair, Frozen], {Pair(1): Frozen(1)}, Sharing.COPY),
    (Row, {"a": 1}, Sharing.COPY),
    (bytearray, bytearray(b"a"), Sharing.COPY),
    (Mutable, Mutable(1), Sharing.COPY),
    (Mutable | None, Mutable(1, "x"), Sharing.COPY),
    (Tagged | AlsoTagged, Tagged(1), Sharing.COPY),
    (Tagged | AlsoTagged | list[int] | None, [1], Sharing.COPY),
    (Plain, Plain(1, "x"), Sharing.COPY),
    (PlainChild, PlainChild(1, "x", 2), Sharing.COPY),
    (MutableModel, MutableModel(a=1), Sharing.COPY),
    (list[list[int]], [[1]], Sharing.DECODE),
    (tuple[list[int], ...], ([1],), Sharing.DECODE),
    (dict[str, list[int]], {"a": [1]}, Sharing.DECODE),
    (list[Mutable], [Mutable(1)], Sharing.DECODE),
    (list[Plain], [Plain(1)], Sharing.DECODE),
    (Any, {"a": [1]}, Sharing.DECODE),
    (dict[str, Any], {"a": [1]}, Sharing.DECODE),
    (list, [[1]], Sharing.DECODE),
    (FrozenAroundList, FrozenAroundList([1]), Sharing.DECODE),
    (MutableAroundMutable, MutableAroundMutable(Mutable(1)), Sharing.DECODE),
    (Box[list[int]], Box([1]), Sharing.DECODE),
    (Box, Box([1]), Sharing.DECODE),
    (Tree, Tree([Tree()]), Sharing.DECODE),
    (FrozenWithHidden, FrozenWithHidden(1), Sharing.DECODE),
    (FrozenAttrsWithHidden, FrozenAttrsWithHidden(1), Sharing.DECODE),
    (Slots, Slots(1), Sharing.DECODE),
    (MutableAttrs, MutableAttrs(1), Sharing.DECODE),
    (PairOfList, PairOfList([1]), Sharing.DECODE),
    (RowOfList, {"a": [1]}, Sharing.DECODE),
    (FrozenModelOfList, FrozenModelOfList(a=[1]), Sharing.DECODE),
    (OpenModel, OpenModel(a=1, b=[1]), Sharing.DECODE),  # type: ignore[call-arg]
    (list[FrozenModelOfList], [FrozenModelOfList(a=[1])], Sharing.DECODE),
]


def reader(annotation: Any, value: Any) -> Callable[[], Any]:
    """What a cache does: keep one thing, hand out what the codec says."""
    codec = codec_for(annotation, endpoint="thing")
    data, held = codec.roundtrip(value)
    if codec.sharing is Sharing.SHARED:
        return lambda: held
    if codec.sharing is Sharing.COPY:
        copy = codec.copy
        assert copy is not None
        return lambda: copy(held)
    return lambda: codec.decode_own(data)


def vandalise(value: Any) -> None:
    """Change everything in `value` that lets itself be changed."""
    if isinstance(value, dict):
        for item in value.values():
            vandalise(item)
        value.clear()
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            vandalise(item)
        if isinstance(value, list | set):
            value.clear()
    elif isinstance(value, bytearray):
        value[:] = b"vandalised"
    elif not isinstance(value, enum.Enum):
        slots = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
        names = {
            *getattr(value, "__dict__", {}),
            *getattr(value, "__struct_fields__", ()),
            *slots,
            "extra",
            "b",
        }
        for name in names:
            vandalise_field(value, name)


def vandalise_field(value: Any, name: str) -> None:
    if name.startswith("__"):
        return
    held = getattr(value, name, None)
    if type(held) not in (int, str, bytes, type(None)) and not callable(held):
        vandalise(held)
    try:
        setattr(value, name, "vandalised")
    except (AttributeError, TypeError, ValueError):
        return  # it defends itself: that is what frozen means


@pytest.mark.parametrize(("annotation", "value", "sharing"), CASES, ids=lambda case: str(case)[:60])
def test_the_cheapest_way_that_isolates_is_chosen(annotation: Any, value: Any, sharing: Sharing) -> None:
    """Immutable through and through: shared. Immutable one level down: copied. Anything else: decoded."""
    codec = codec_for(annotation, endpoint="thing")
    assert codec.sharing is sharing
    assert (codec.copy is not None) == (sharing is Sharing.COPY)


@pytest.mark.parametrize(("annotation", "value", "sharing"), CASES, ids=lambda case: str(case)[:60])
def test_no_reader_can_change_what_the_next_one_gets(annotation: Any, value: Any, sharing: Sharing) -> None:
    """After one reader has changed all it could, the next one gets an equal value of the same types."""
    read = reader(annotation, value)
    expected = deepcopy(value)
    vandalise(read())
    again = read()
    assert again == expected
    assert type(again) is type(expected)
    vandalise(value)
    assert read() == expected


def test_a_copy_of_each_kind_is_whole() -> None:
    """Copies hold every field, those of base classes and those that were left at their defaults too."""
    for annotation, value, sharing in CASES:
        if sharing is Sharing.COPY:
            copy = codec_for(annotation, endpoint="thing").copy
            assert copy is not None
            copied = copy(value)
            assert copied == value
            assert copied is not value or value is None
