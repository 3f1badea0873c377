"""Untyped parts of a value hold only what comes back as it was."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import ValueEncodingError
from cacheaside.values import codec_for

T = TypeVar("T")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=5)
KEYS = (
    TEXT
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.binary(max_size=2)
    | st.none()
)
OPEN = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


def exact(value: Any) -> Any:
    if isinstance(value, list):
        return (type(value), [exact(item) for item in value])
    if isinstance(value, dict):
        return (type(value), [(exact(key), exact(item)) for key, item in value.items()])
    return (type(value), repr(value))


@given(OPEN)
def test_plain_data_in_untyped_parts_comes_back_as_it_was(value: Any) -> None:
    """None, bool, int, float, str, bytes, lists and dicts of them: equal, of the same types, in the same order."""
    assert exact(codec_for(Any, endpoint="open").roundtrip(value)[1]) == exact(value)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Pair(NamedTuple):
    a: Any


class Row(TypedDict):
    a: Any
    d: date


class Struct(msgspec.Struct):
    a: Any
    d: date = date(2024, 1, 1)


class TaggedA(msgspec.Struct, tag=True):
    x: Any


class TaggedB(msgspec.Struct, tag=True):
    x: date


class Box(msgspec.Struct, Generic[T]):
    content: T


class Chain(msgspec.Struct):
    a: Any = None
    next: Chain | None = None


@dataclass
class Data:
    a: dict[str, Any]
    d: date = date(2024, 1, 1)


CHANGING = [
    (1, 2), {1}, frozenset({1}), date(2024, 1, 1), datetime.now(UTC), Decimal(1), UUID(int=1), Level.LOW, Word.A,
    Struct(1), Data({}), OrderedDict(a=1), defaultdict(int, a=1), bytearray(b"a"), Pair(1),
]  # fmt: skip


@pytest.mark.parametrize("value", CHANGING, ids=lambda value: type(value).__name__)
def test_what_would_change_its_type_is_refused_wherever_the_annotation_is_open(value: Any) -> None:
    """The message names the type and the place, and says to annotate it."""
    places: list[tuple[Any, Any, str]] = [
        (Any, value, r"\$,"),
        (object, value, r"\$,"),
        (list, [1, value], r"\$\[\.\.\.\],"),
        (dict, {"k": value}, r"\$\[\.\.\.\],"),
        (dict[str, Any], {"k": [{"l": value}]}, r"\$\[\.\.\.\]\[\.\.\.\]\[\.\.\.\],"),
        (tuple[int, Any], (1, value), r"\$\[1\],"),
        (tuple[Any, ...], (1, value), r"\$\[\.\.\.\],"),
        (Struct, Struct(value), r"\$\.a,"),
        (Struct | None, Struct(value), r"\$\.a,"),
        (list[Struct], [Struct(1), Struct(value)], r"\$\[\.\.\.\]\.a,"),
        (Struct, {"a": value, "d": date(2024, 1, 1)}, r"\$\.a,"),
        (Row, {"a": value, "d": date(2024, 1, 1)}, r"\$\.a,"),
        (Pair, Pair(value), r"\$\.a,"),
        (Data, Data({"k": value}), r"\$\.a\[\.\.\.\],"),
        (TaggedA | TaggedB, TaggedA(value), r"\$\.x,"),
        (Box, Box(value), r"\$\.content,"),
        (Box[Any], Box(value), r"\$\.content,"),
        (Chain, Chain(1, Chain(2, Chain(value))), r"\$\.next\.next\.a,"),
        (list[Any] | int | None, [value], r"\$\[\.\.\.\],"),
        (dict[str, Any] | int | None, {"k": value}, r"\$\[\.\.\.\],"),
    ]
    for annotation, whole, place in places:
        with pytest.raises(
            ValueEncodingError, match=rf"a {type(value).__name__} in an untyped part, at {place}"
        ):
            codec_for(annotation, endpoint="open").roundtrip(whole)


def test_keys_of_untyped_dicts_are_looked_at_too() -> None:
    """A date as a key would come back as text."""
    for annotation in (Any, dict, dict[Any, int]):
        with pytest.raises(ValueEncodingError, match=r"a date in an untyped part, at \$ \(a key\)"):
            codec_for(annotation, endpoint="open").roundtrip({date(2024, 1, 1): 1})


def test_typed_parts_beside_untyped_ones_keep_their_types() -> None:
    """Only what the annotation leaves open is restricted."""
    values: list[tuple[Any, Any]] = [
        (Struct, Struct([1], date(2024, 1, 2))),
        (Row, {"a": {"k": 1}, "d": date(2024, 1, 2)}),
        (TaggedA | TaggedB, TaggedB(date(2024, 1, 2))),
        (Box[tuple[int, ...]], Box((1, 2))),
        (dict[date, Any], {date(2024, 1, 2): [1]}),
        (tuple[date, Any], (date(2024, 1, 2), None)),
    ]
    for annotation, value in values:
        assert codec_for(annotation, endpoint="open").roundtrip(value)[1] == value
