"""The stored format of keys: golden values."""

from __future__ import annotations

import enum
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from cacheaside.keys import encode


class Color(enum.Enum):
    RED = 1


class Access(enum.Flag):
    R = 1
    W = 2


@dataclass
class Point:
    x: Any
    y: Any


class PointTuple(NamedTuple):
    x: Any
    y: Any


class PointStruct(msgspec.Struct):
    x: Any
    y: Any


class Loose(pydantic.BaseModel, extra="allow"):
    x: int


class Name(str):
    __slots__ = ()


class Custom:
    def __init__(self, ident: int) -> None:
        self.ident = ident

    def __cache_key__(self) -> object:
        return (self.ident, "custom")


# The format, as bytes in stores: one row per line of the grammar.
GOLDEN: list[tuple[object, str]] = [
    (None, "n"),
    (True, "t"),
    (False, "f"),
    (42, "i42"),
    (-7, "i-7"),
    (-(1 << 128), "h-100000000000000000000000000000000"),
    (1.5, "d1.5"),
    (-0.0, "d-0.0"),
    (float("nan"), "dnan"),
    (Decimal("1.00"), "m1.00"),
    (Decimal("1E+30"), "m1e+30"),
    ("en", "sen"),
    ("a b:c,{é}", "sa%20b%3Ac%2C%7B%C3%A9%7D"),
    (b"\x00\xff", "x00ff"),
    (UUID(int=1), "u00000000000000000000000000000001"),
    (date(2024, 2, 29), "D2024-02-29"),
    (datetime.fromisoformat("2024-02-29T12:30:00"), "N2024-02-29T12.30.00"),
    (datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC), "Z2024-02-29T12.30.01.000005+00.00"),
    (datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Paris")), "Z2024-07-01T00.00.00+02.00~Europe/Paris"),
    (datetime.fromisoformat("2024-07-01").replace(fold=1), "N2024-07-01T00.00.00f"),
    (time(1, 2, 3), "T01.02.03"),
    (timedelta(days=-1), "w-86400000000"),
    (UTC, "yw0"),
    (ZoneInfo("Asia/Tokyo"), "y~Asia/Tokyo"),
    (PurePosixPath("/a"), "pPurePosixPath~/a"),
    (ipaddress.ip_address("::1"), "aIPv6Address~%3A%3A1"),
    (range(5), "r(i0,i5,i1)"),
    ((), "()"),
    ((1, "a"), "(i1,sa)"),
    ([1, [2]], "l(i1,l(i2))"),
    ({2, 1}, "S(i1,i2)"),
    (frozenset({"b", "a"}), "F(sa,sb)"),
    ({"b": 1, "a": (2,)}, "M(sa=(i2),sb=i1)"),
    (OrderedDict(b=1, a=2), "O(sb=i1,sa=i2)"),
    (MappingProxyType({1: 2}), "vbuiltins~mappingproxy(M(i1=i2))"),
]
GOLDEN_OF_CLASSES: list[tuple[object, str]] = [
    (Color.RED, "e{}~Color~RED"),
    (Access.R | Access.W, "g{}~Access~3"),
    (Point(1, "a"), "c{}~Point(x=i1,y=sa)"),
    (PointTuple(1, 2), "c{}~PointTuple(x=i1,y=i2)"),
    (PointStruct(1, 2), "c{}~PointStruct(x=i1,y=i2)"),
    (Loose.model_validate({"x": 1, "y": 2}), "c{}~Loose(x=i1,~=M(sy=i2))"),
    (Name("a"), "v{}~Name(sa)"),
    (Custom(1), "k{}~Custom((i1,scustom))"),
]


@pytest.mark.parametrize(("value", "encoded"), [
    *GOLDEN, *((value, encoded.format(__name__)) for value, encoded in GOLDEN_OF_CLASSES)
])  # fmt: skip
def test_the_stored_format_has_not_changed(value: object, encoded: str) -> None:
    """Bytes written by earlier versions are still the keys of the same calls."""
    assert encode(value).decode() == encoded, (
        "The key format changed: every cache goes cold on upgrade, and invalidations between old and new "
        "processes miss each other. If that is meant, raise KEY_FORMAT in cacheaside/keys/key.py, say so in "
        "CHANGELOG.md, and then change this table."
    )
