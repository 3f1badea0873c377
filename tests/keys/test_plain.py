"""Plain classes: where the raw argument may be a dictionary key itself."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ForwardRef, Literal, NewType, Optional, Protocol, Self, TypeVar, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from cacheaside.keys import encode, plain_types

NoneType = type(None)
DEFAULT = {int, str, bytes, NoneType, UUID}


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rank(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Bits(enum.IntFlag):
    R = 1
    W = 2


class Access(enum.Flag):
    R = 1


class Mixed(int, enum.Enum):
    def __new__(cls, number: int, label: str) -> Self:
        member = int.__new__(cls, number)
        member._value_ = (number, label)
        return member

    A = (1, "a")
    B = (1, "b")


class Fuzzy(enum.Enum):
    A = 1
    B = 2

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = enum.Enum.__hash__


class Money(Decimal, enum.Enum):
    ONE = "1"


class Reader(Protocol):
    def read(self) -> str: ...


@dataclass(frozen=True)
class Point:
    x: int


Ident = NewType("Ident", int)
Nested = NewType("Nested", Ident)
T = TypeVar("T")
Alias = TypeAliasType("Alias", "int | str")
AliasOf = TypeAliasType("AliasOf", Union[int, str])  # noqa: UP007 an old spelling is what is tested
Generic = TypeAliasType("Generic", Union[T, None], type_params=(T,))  # noqa: UP007


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, {int}),
        (str, {str}),
        (bytes, {bytes}),
        (bool, {bool}),
        (UUID, {UUID}),
        (date, {date}),
        (None, {NoneType}),
        (Color, {Color}),
        (Level, {Level}),
        (Word, {Word}),
        (Access, {Access}),
        (Bits, {Bits}),
        (int | None, {int, NoneType}),
        (Optional[str], {str, NoneType}),  # noqa: UP045
        (Union[int, str], {int, str}),  # noqa: UP007
        (Color | Access | int | str, {Color, Access, int, str}),
        (int | bool, {int}),
        (int | Level, {int}),
        (Level | Rank, None),
        (Level | bool, None),
        (Level | Rank | None, {NoneType}),
        (Bits | int, {int}),
        (str | Word, {str}),
        (Word | int, {Word, int}),
        (Literal["a", "b"], {str}),
        (Literal[1, "a"] | None, {int, str, NoneType}),
        (Literal[1, True], {int}),
        (Literal[Color.RED], {Color}),
        (Ident, {int}),
        (Nested | None, {int, NoneType}),
        (Annotated[int, "positive"], {int}),
        (Annotated[Ident | None, "x"], {int, NoneType}),
        (AliasOf, {int, str}),
        (Alias, DEFAULT),
        (int | float, {int}),
        (float, None),
        (complex, None),
        (Decimal, None),
        (datetime, None),
        (list[int], None),
        (tuple[int, ...], None),
        (tuple, None),
        (dict[str, int], None),
        (frozenset[int], None),
        (Sequence[int], None),
        (Callable[[int], int], None),
        (type[int], None),
        (Point, None),
        (Mixed, None),
        (Fuzzy, None),
        (Money, None),
        (Any, DEFAULT),
        (object, DEFAULT),
        (T, DEFAULT),
        ("int", DEFAULT),
        (ForwardRef("int"), DEFAULT),
        (int | Any, DEFAULT),
    ],
)
def test_the_plain_classes_of_an_annotation(annotation: Any, expected: set[type] | None) -> None:
    """Classes with exact equality are plain; of those that compare across classes at most one is."""
    assert plain_types(annotation) == expected


def test_a_protocol_says_nothing_about_the_values() -> None:
    """Any class may implement it, so nothing is known, and nothing is claimed."""
    assert plain_types(Reader) in (None, frozenset(DEFAULT))


VALUES: list[Any] = [
    0, 1, 2, 3, True, False, "a", "", "1", b"a", b"", b"1", None, UUID(int=1), UUID(int=2), date(2024, 1, 1),
    datetime.fromisoformat("2024-01-01"), *Color, *Level, *Rank, *Word, *Access, *Bits, Bits.R | Bits.W,
    *Mixed, *Fuzzy, *Money, 1.0, 0.0, -0.0, Decimal(1), Decimal("1.0"),
]  # fmt: skip
ANNOTATIONS = [
    int, bool, str, bytes, None, UUID, date, Color, Level, Rank, Word, Access, Bits, Mixed, Fuzzy, Money,
    float, Decimal, Ident, Literal[1, "a"], Any,
]  # fmt: skip
UNIONS = st.lists(st.sampled_from(ANNOTATIONS), min_size=1, max_size=4)


@given(UNIONS, st.sampled_from(VALUES), st.sampled_from(VALUES))
def test_equal_values_of_plain_classes_have_equal_encodings(
    union: list[Any], first: Any, second: Any
) -> None:
    """Soundness: a dictionary that takes the raw values as keys confuses no two arguments."""
    plain = plain_types(Union[tuple(union)]) or frozenset()  # noqa: UP007
    if type(first) in plain and type(second) in plain and first == second:
        assert encode(first) == encode(second)


def test_every_pair_of_values_is_told_apart_under_every_pair_of_annotations() -> None:
    """The same, exhaustively, for unions of two."""
    for left in ANNOTATIONS:
        for right in ANNOTATIONS:
            plain = plain_types(Union[left, right]) or frozenset()  # noqa: UP007
            slots: dict[Any, bytes] = {}
            for value in VALUES:
                if type(value) in plain:
                    assert slots.setdefault(value, encode(value)) == encode(value)
