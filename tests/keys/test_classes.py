"""Classes in keys: members, records, subclasses and mappings are told apart."""

from __future__ import annotations

import enum
import ipaddress
from collections import Counter, OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from cacheaside.errors import KeyEncodingError
from cacheaside.keys import encode


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796 an alias is what is tested


class Shade(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    R = 1
    W = 2


class Bits(enum.IntFlag):
    R = 1


@dataclass
class Point:
    x: Any
    y: Any


@dataclass(frozen=True, slots=True)
class PointSlots:
    x: Any
    y: Any


class PointStruct(msgspec.Struct):
    x: Any
    y: Any


@attrs.define
class PointAttrs:
    x: Any
    y: Any


class PointTuple(NamedTuple):
    x: Any
    y: Any


class PointModel(pydantic.BaseModel):
    x: Any
    y: Any


class Loose(pydantic.BaseModel, extra="allow"):
    x: int


class Name(str):
    __slots__ = ()


class Number(int):
    pass


class Pair(tuple[int, int]):
    __slots__ = ()


class Custom:
    def __init__(self, ident: int) -> None:
        self.ident = ident

    def __cache_key__(self) -> object:
        return (self.ident, "custom")


RECORDS: list[Any] = [
    Point,
    PointSlots,
    PointStruct,
    PointAttrs,
    PointTuple,
    lambda x, y: PointModel(x=x, y=y),
]


def test_enum_members_go_by_class_and_name() -> None:
    """A member is not its value, nor a like-named one of another Enum; an alias is what it stands for."""
    members = [Color.RED, Color.GREEN, Shade.RED, Level.LOW, 1, Word.A, "a", Access.R, Access.W, Bits.R]
    assert len({encode(member) for member in members}) == len(members)
    assert encode(Color.CRIMSON) == encode(Color.RED)


def test_flags_go_by_bits_so_that_combinations_have_an_encoding() -> None:
    """R|W is neither R nor W nor nothing, and the order of combination does not matter."""
    assert len({encode(flag) for flag in (Access.R, Access.W, Access.R | Access.W, Access(0))}) == 4
    assert encode(Access.R | Access.W) == encode(Access.W | Access.R)


@pytest.mark.parametrize("make", RECORDS)
def test_records_go_by_class_and_every_field(make: Callable[[Any, Any], Any]) -> None:
    """Equal fields in one class share an encoding; other values, swapped ones and other classes do not."""
    assert encode(make(1, "a")) == encode(make(1, "a"))
    assert (
        len(
            {
                encode(make(*fields))
                for fields in [(1, 2), (2, 1), (True, 2), ("1", 2), (1, (2,)), ((1, 2), 0)]
            }
        )
        == 6
    )
    assert encode(make(1, 2)) not in {encode(other(1, 2)) for other in RECORDS if other is not make}
    assert encode(make(1, 2)) != encode((1, 2))


def test_a_record_with_state_its_class_does_not_declare_is_refused() -> None:
    """An attribute set on the side might matter, so it is not left out silently; a cached property cannot."""

    @dataclass
    class Wide:
        x: int

        @cached_property
        def twice(self) -> int:
            return 2 * self.x

    wide = Wide(1)
    before = encode(wide)
    assert wide.twice == 2
    assert encode(wide) == before
    wide.note = "x"  # type: ignore[attr-defined]
    with pytest.raises(KeyEncodingError, match=r"note.*__cache_key__"):
        encode(wide)


def test_extra_fields_of_a_pydantic_model_count() -> None:
    """`extra="allow"` makes undeclared input part of the value, so it is part of the key."""
    inputs: list[dict[str, Any]] = [{"x": 1}, {"x": 1, "y": 2}, {"x": 1, "y": "2"}]
    assert len({encode(Loose.model_validate(fields)) for fields in inputs}) == 3


def test_a_record_without_one_of_its_fields_is_refused_by_name() -> None:
    """A field that was never set has no value to encode."""

    @dataclass
    class Late:
        x: int = field(init=False)

    with pytest.raises(KeyEncodingError, match="field 'x'"):
        encode(Late())


def test_subclasses_of_builtins_go_by_class_and_value() -> None:
    """A subclass may behave unlike its builtin, so they do not share keys; its value still counts."""
    assert len({encode(value) for value in (Name("a"), Name("b"), "a", Number(1), Number(2), 1)}) == 6
    assert len({encode(value) for value in (Pair((1, 2)), Pair((2, 1)), (1, 2))}) == 3
    assert encode(Counter("aab")) == encode(Counter("baa")) != encode({"a": 2, "b": 1})


def test_a_subclass_that_lies_about_itself_is_encoded_by_its_storage() -> None:
    """An overridden `__str__`, `__iter__` or `items` does not change which value is encoded."""

    class Masked(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "***"

    class Hidden(dict[str, int]):
        def items(self) -> Any:
            return ()

    assert encode(Masked("a")) != encode(Masked("b"))
    assert encode(Hidden(a=1)) != encode(Hidden(a=2))


def test_a_subclass_of_a_builtin_with_state_of_its_own_is_refused() -> None:
    """Whether attributes, slots or C members belong to the value is not for us to guess."""

    class Slotted(int):
        __slots__ = ()

    class Noted(str):
        __slots__ = ("note",)

    noted = Number(1)
    noted.note = "x"  # type: ignore[attr-defined]
    assert encode(Slotted(1)) != encode(1)
    stateful: list[Any] = [Noted("a"), noted, defaultdict(int)]
    for value in stateful:
        with pytest.raises(KeyEncodingError, match=r"convert it to (str|int|dict)"):
            encode(value)


def test_a_cache_key_method_decides_what_identifies_its_object() -> None:
    """`__cache_key__` is encoded under the class, so that its result is not taken for a plain value."""
    assert encode(Custom(1)) == encode(Custom(1)) != encode(Custom(2))
    assert encode(Custom(1)) != encode((1, "custom"))


def test_mappings_are_sorted_and_ordered_ones_are_not() -> None:
    """Insertion order is no part of a dict but part of an OrderedDict; a proxy is a class of its own."""
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})
    assert encode(OrderedDict(a=1, b=2)) != encode(OrderedDict(b=2, a=1))
    assert (
        len({encode(m) for m in ({"a": 1}, OrderedDict(a=1), MappingProxyType({"a": 1}), UserDict(a=1))}) == 4
    )
    assert encode({1: "a"}) != encode({"1": "a"}) != encode({True: "a"})


def test_paths_addresses_and_ranges_have_encodings() -> None:
    """Library values that identify something are told apart by class and text."""
    values = [
        PurePosixPath("a/b"), PureWindowsPath("a/b"), "a/b", PurePosixPath("a b"),
        ipaddress.ip_address("10.0.0.1"), ipaddress.ip_interface("10.0.0.1/32"),
        ipaddress.ip_network("10.0.0.1/32"), ipaddress.ip_address("::1"),
        ipaddress.ip_address("fe80::1%eth0"), range(5), range(0, 5, 2), range(0, 6, 2),
    ]  # fmt: skip
    assert len({encode(value) for value in values}) == len(values)


def test_values_that_compare_equal_are_told_apart_by_type() -> None:
    """`True`, `1`, `1.0`, `Decimal(1)`, `"1"`, `b"1"` and their kind never meet."""
    values = [
        True, 1, 1.0, Decimal(1), Decimal("1.0"), "1", b"1", "i1", "True", None, "None", "", b"", (), [],
        frozenset(), set(), {}, 0, -0.0, 0.0, False, "0", (1,), [1], {1}, frozenset({1}), {1: None}, ((1,),),
        (None,), ("",), ("1,2",), ("1", "2"), (1, 2), (12,), range(1), Color.RED, Level.LOW, Word.A, Access.R,
        "a", OrderedDict(), MappingProxyType({}), date(2024, 1, 1), datetime.fromisoformat("2024-01-01"),
        "2024-01-01",
        time(1), timedelta(1), UUID(int=1), Point(1, 2), PointStruct(1, 2), PointAttrs(1, 2),
        PointTuple(1, 2),
    ]  # fmt: skip
    assert len({encode(value) for value in values}) == len(values)
