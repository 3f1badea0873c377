"""Pydantic models as values."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest

from cacheaside.errors import ValueEncodingError
from cacheaside.values import codec_for

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"


class Inner(pydantic.BaseModel):
    when: datetime
    pairs: dict[int, tuple[str, Decimal]]


class Rich(pydantic.BaseModel):
    ident: int
    name: str = pydantic.Field(alias="displayName")
    price: Decimal
    sku: UUID
    day: date
    lasts: timedelta
    color: Color
    tags: frozenset[str]
    raw: bytes
    inner: Inner
    many: list[Inner]
    maybe: Inner | None = None
    hidden: int = pydantic.Field(default=0, exclude=True)
    link: pydantic.HttpUrl
    path: PurePosixPath
    address: IPv4Address
    parent: Rich | None = None

    @pydantic.field_serializer("day")
    def _day(self, day: date) -> str:
        return "a serialiser for people"

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def label(self) -> str:
        return f"{self.name} {self.price}"


class StrictForbidding(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    sku: UUID
    day: date
    pair: tuple[int, int]


class Open(pydantic.BaseModel, extra="allow"):
    a: int


class Loose(pydantic.BaseModel):
    anything: Any


class Ids(pydantic.RootModel[list[UUID]]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]
    total: int


class CatModel(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class DogModel(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Pet(pydantic.BaseModel):
    pet: CatModel | DogModel = pydantic.Field(discriminator="kind")


class Ambiguous(pydantic.BaseModel):
    either: UUID | str


class Doubling(pydantic.BaseModel):
    n: int

    @pydantic.field_validator("n")
    @classmethod
    def _double(cls, n: int) -> int:
        return 2 * n


class Secret(pydantic.BaseModel):
    password: pydantic.SecretStr


class Private(pydantic.BaseModel):
    a: int
    _note: str = pydantic.PrivateAttr("")


class Holder(msgspec.Struct):
    model: Inner
    models: dict[str, Inner | None]


INNER = Inner(when=datetime(2024, 1, 1, tzinfo=UTC), pairs={1: ("a", Decimal("1.00"))})


def rich() -> Rich:
    return Rich.model_validate({
        "ident": 1 << 70, "displayName": "x", "price": Decimal("1.10"), "sku": UUID(int=1), "day": date(2024, 1, 1),
        "lasts": timedelta(days=-1, microseconds=1), "color": Color.RED, "tags": {"a"}, "raw": b"\xff", "inner": INNER,
        "many": [INNER, INNER], "maybe": INNER, "hidden": 7, "link": "https://example.org/a?b=1", "path": "/a/b",
        "address": "10.0.0.1",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Rich, rich()),
        (Rich, rich().model_copy(update={"parent": rich()})),
        (Rich | None, None),
        (list[Rich], [rich()]),
        (StrictForbidding, StrictForbidding(sku=UUID(int=1), day=date(2024, 1, 1), pair=(1, 2))),
        (Open, Open(a=1, b=[1, {"c": None}])),  # type: ignore[call-arg]
        (Loose, Loose(anything={"a": [1]})),
        (Ids, Ids([UUID(int=1)])),
        (Page[Inner], Page[Inner](items=[INNER], total=1)),
        (Pet, Pet(pet=DogModel(tricks=["sit"]))),
        (Holder, Holder(INNER, {"a": INNER, "b": None})),
        (dict[str, Inner], {"a": INNER}),
        (Private, Private(a=1)),
    ],
    ids=lambda case: str(case)[:40],
)
def test_models_come_back_equal(annotation: Any, value: Any) -> None:
    """Fields by their own names: aliases, serialisers, `exclude` and computed fields lose nothing."""
    codec = codec_for(annotation, endpoint="model")
    data, decoded = codec.roundtrip(value)
    assert decoded == value
    assert type(decoded) is type(value)
    assert codec.decode(data) == codec.decode_own(data) == value


def private() -> Private:
    value = Private(a=1)
    value._note = "lost"
    return value


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (Ambiguous, Ambiguous(either=UUID(int=1)), "come back different"),
        (Doubling, Doubling(n=1), "come back different"),
        (list[Doubling], [Doubling(n=1)], "come back different"),
        (Private, private(), "come back different"),
        (Page[float], Page[float](items=[math.nan], total=1), "NaN"),
        (Secret, Secret(password=pydantic.SecretStr("s3cr3t")), "an object of class SecretStr"),
        (Loose, Loose(anything=date(2024, 1, 1)), r"a date in an untyped part, at \$\.anything"),
        (Open, Open(a=1, b=date(2024, 1, 1)), "a date in an untyped part"),  # type: ignore[call-arg]
        (Inner, {"when": "s3cr3t", "pairs": {}}, "does not fit"),
        (Inner, INNER.model_copy(update={"when": "s3cr3t"}), "does not fit"),
        (Inner, Open(a=1), "does not fit"),
        (Any, INNER, "an object of class Inner"),
    ],
)
def test_a_model_that_would_come_back_different_is_refused(annotation: Any, value: Any, says: str) -> None:
    """A hit is what the load was, or the load fails; the value is not quoted."""
    with pytest.raises(ValueEncodingError, match=says) as caught:
        codec_for(annotation, endpoint="model").roundtrip(value)
    assert "s3cr3t" not in str(caught.value)


def test_an_unambiguous_text_in_a_union_is_kept() -> None:
    """Only the member of a union that cannot be told apart is a problem."""
    assert codec_for(Ambiguous, endpoint="model").roundtrip(Ambiguous(either="x"))[1] == Ambiguous(either="x")


def test_pydantic_is_not_imported_for_anything_else() -> None:
    """Whoever has no models does not pay for them."""
    code = (
        "import sys, typing; from cacheaside.values import codec_for; "
        "codec_for(dict[str, typing.Any], endpoint='e').roundtrip({'a': 1}); print('pydantic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
