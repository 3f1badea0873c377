"""Parameters whose arguments can never be part of a key are known at decoration."""

from __future__ import annotations

import abc
import enum
import numbers
import os
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from typing_extensions import TypeAliasType

from cacheaside.keys import encodable


class Plain:
    pass


class Keyed:
    def __cache_key__(self) -> object:
        return 1


class Color(enum.Enum):
    RED = 1


@dataclass
class Point:
    x: int


class PointStruct(msgspec.Struct):
    x: int


@attrs.define
class PointAttrs:
    x: int


class PointTuple(NamedTuple):
    x: int


class PointDict(TypedDict):
    x: int


class PointModel(pydantic.BaseModel):
    x: int


class Name(str):
    __slots__ = ()


class Noted(str):
    __slots__ = ("note",)


class Reader(Protocol):
    def read(self) -> str: ...


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)


T = TypeVar("T")
Rows = NewType("Rows", Plain)
Endless: Any = TypeAliasType("Endless", "list[Endless] | int")


@pytest.mark.parametrize(
    "annotation",
    [
        int, str, bool, None, float, Decimal, datetime, type(None), range, Path, IPv4Address, tzinfo,
        enum.Enum, Color, Point, PointStruct, PointAttrs, PointTuple, PointDict, PointModel, Name, Keyed,
        Any, object, T, Reader, Shape, "Unresolved", Hashable, numbers.Number, os.PathLike, os.PathLike[str],
        int | None, list[int], Sequence[int], dict[str, int], Mapping[str, Point], tuple[int, ...], tuple[()],
        frozenset[Color], Literal["a", 1], Annotated[int, "x"], list[Any], Endless, Iterable[int],
    ],
    ids=str,
)  # fmt: skip
def test_what_may_have_an_encoding_passes(annotation: Any) -> None:
    """Values, records, and whatever only run time can tell."""
    assert encodable(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Session, "Session"),
        (Request, "Request"),
        (Headers, "Headers"),
        (QueryParams, "QueryParams"),
        (Row, "Row"),
        (Plain, "Plain"),
        (Plain | None, "Plain"),
        (Rows, "Plain"),
        (Annotated[Plain, "x"], "Plain"),
        (list[Plain], "Plain"),
        (dict[str, list[Plain | None]], "Plain"),
        (tuple[int, Plain], "Plain"),
        (Sequence[Plain], "Plain"),
        (Iterator[int], "read only once"),
        (Generator[int, None, None], "read only once"),
        (AsyncIterator[int], "read only once"),
        (Coroutine[None, None, int], "read only once"),
        (Callable[[int], int], "same in every process"),
        (Callable, "same in every process"),
        (type, "same in every process"),
        (type[int], "same in every process"),
        (complex, "complex"),
        (bytearray, "bytearray"),
        (defaultdict, "convert it to dict"),
        (Noted, "convert it to str"),
    ],
    ids=str,
)
def test_what_never_has_an_encoding_is_refused_with_a_way_out(annotation: Any, reason: str) -> None:
    """One sentence that names the class and what to do, wherever in the annotation it stands."""
    sentence = encodable(annotation)
    assert sentence is not None
    assert reason in sentence
    assert "ignore=" in sentence
    assert sentence.endswith(".")
