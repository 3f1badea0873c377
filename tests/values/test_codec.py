"""Typed values: what goes in comes back, and what does not fit is refused without being quoted."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import ValueEncodingError
from cacheaside.values import LEVELS_MAX, codec_for
from cacheaside.values import codec as codec_module

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    left: int
    right: str


class Row(TypedDict):
    ident: int
    note: NotRequired[str]


class Box(msgspec.Struct, Generic[T], frozen=True):
    content: T


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


@dataclass
class Point:
    x: float
    y: float


@attrs.define
class Crate:
    label: str
    size: int = 1


Ident = NewType("Ident", int)


class Product(msgspec.Struct, frozen=True):
    ident: Ident
    name: str
    price: Decimal
    color: Color
    level: Level
    sku: UUID
    raw: bytes
    listed: date
    opens: time
    changed: datetime
    warranty: timedelta
    tags: frozenset[str]
    pair: Pair
    sizes: dict[int, tuple[int, int]]
    parent: Product | None = None


DATETIMES = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PRODUCTS = st.recursive(
    st.none(),
    lambda inner: st.builds(
        Product,
        ident=st.integers(),
        name=TEXT,
        price=st.decimals(allow_nan=False),
        color=st.sampled_from(Color),
        level=st.sampled_from(Level),
        sku=st.uuids(),
        raw=st.binary(max_size=4),
        listed=st.dates(),
        opens=st.times().map(lambda clock: clock.replace(fold=0)),
        changed=DATETIMES,
        warranty=st.timedeltas(),
        tags=st.frozensets(TEXT, max_size=2),
        pair=st.builds(Pair, st.integers(), TEXT),
        sizes=st.dictionaries(
            st.integers(-(1 << 63), (1 << 64) - 1), st.tuples(st.integers(), st.integers()), max_size=2
        ),
        parent=inner,
    ),
    max_leaves=3,
)


def exact(value: Any) -> Any:
    """Equal only for values of equal types throughout."""
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return (type(value), [exact(item) for item in items])
    if isinstance(value, dict):
        return (dict, [(exact(key), exact(item)) for key, item in value.items()])
    if isinstance(value, msgspec.Struct):
        return (type(value), [exact(getattr(value, name)) for name in value.__struct_fields__])
    return (type(value), repr(value))


@given(PRODUCTS)
def test_a_rich_value_comes_back_as_it_was(product: Product | None) -> None:
    """Every field of every supported type, with integers of any size, survives bytes; so does its type."""
    codec = codec_for(Product | None, endpoint="product")
    data, decoded = codec.roundtrip(product)
    assert exact(decoded) == exact(product)
    assert exact(codec.decode(data)) == exact(codec.decode_own(data)) == exact(product)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 1 << 200),
        (int, -(1 << 63) - 1),
        (list[int], [1 << 64, (1 << 64) - 1, -(1 << 63)]),
        (dict[str, Any], {"a": [1 << 70, -(1 << 70)], "b": b"\xff", "c": 1.5}),
        (set[int], {1 << 70}),
        (str, "é"),
        (bytes, b"\x00"),
        (bool, True),
        (float, 1.5),
        (Point, Point(1.0, float("inf"))),
        (Crate, Crate("a", 1 << 64)),
        (Row, {"ident": 1}),
        (Row, {"ident": 1, "note": "x"}),
        (Pair, Pair(1, "a")),
        (Box[int], Box(1 << 80)),
        (Box[list[Pair]], Box([Pair(1, "a")])),
        (Cat | Dog, Cat(9)),
        (Cat | Dog, Dog(["sit"])),
        (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
        (Color, Color.RED),
        (Literal["a", 1] | None, 1),
        (Annotated[int, msgspec.Meta(ge=0)], 0),
        (Ident, 5),
        (Sequence[int], [1]),
        (Mapping[str, int], {"a": 1}),
        (dict[tuple[int, int], str], {(1, 2): "a"}),
        (dict[UUID, Point], {UUID(int=1): Point(1.0, 2.0)}),
        (tuple[int, ...], (1, 2)),
        (frozenset[Color], frozenset(Color)),
        (int | str | None, None),
        (object, {"a": [1]}),
        (Any, None),
    ],
)
def test_supported_annotations_round_trip(annotation: Any, value: Any) -> None:
    """Each supported kind of annotation gives back an equal value of the same types."""
    codec = codec_for(annotation, endpoint="thing")
    data, decoded = codec.roundtrip(value)
    assert exact(decoded) == exact(value)
    assert exact(codec.decode(data)) == exact(value)


def test_an_aware_datetime_comes_back_in_utc() -> None:
    """The instant is kept, the offset is not: for the first reader as for every later one."""
    noon = datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    _, decoded = codec_for(datetime, endpoint="now").roundtrip(noon)
    assert decoded == noon
    assert decoded.tzinfo is UTC


def test_what_the_annotation_does_not_name_is_not_stored() -> None:
    """A subclass, or a row with more in it, comes back as the annotated class, for the first reader too."""

    class Base(msgspec.Struct):
        ident: int

    class More(Base):
        secret: str

    codec = codec_for(Base, endpoint="base")
    for value in (More(1, "s"), {"ident": 1, "secret": "s"}):
        data, decoded = codec.roundtrip(value)
        assert exact(decoded) == exact(Base(1))
        assert exact(codec.decode(data)) == exact(Base(1))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [(int, False), (int | None, True), (Any, True), (Point, False), (Point | None, True), (Literal["a"], False),
     (Literal["a"] | None, True), (object, True), (list[int | None], False)],
)  # fmt: skip
def test_whether_none_is_a_value(annotation: Any, expected: bool) -> None:
    """An endpoint whose annotation admits None may cache the absence of a row."""
    assert codec_for(annotation, endpoint="thing").allows_none is expected


# -- what does not fit ---------------------------------------------------------------------------------------------

SECRET = "s3cr3t"


class Order(msgspec.Struct):
    ident: int
    lines: list[Pair]
    color: Color = Color.RED
    amount: Annotated[int, msgspec.Meta(le=10)] = 0


class Picky(msgspec.Struct):
    name: str

    def __post_init__(self) -> None:
        if self.name != "ok":
            raise ValueError(f"not ok: {self.name}")


class Rude(msgspec.Struct):
    name: str

    def __post_init__(self) -> None:
        if self.name != "ok":
            raise LookupError(self.name)


class Foreign:
    def __repr__(self) -> str:
        return SECRET


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (Order, {"ident": SECRET, "lines": []}, r"at \$\.ident: expected `int`, got `str`"),
        (Order, Order(1, [Pair(1, 2)]), r"at \$\.lines\[0\]\[1\]: expected `str`, got `int`"),  # type: ignore[arg-type]
        (Order, {"lines": [SECRET]}, "expected `array`, got `str`"),
        (Order, {"lines": []}, "missing required field `ident`"),
        (Order, {"ident": 1, "lines": [], "color": SECRET}, r"at \$\.color"),
        (Order, Order(1, [], amount=11), r"at \$\.amount: expected `int` <= 10"),
        (Literal["a"], SECRET, "does not fit"),
        (dict[str, int], {SECRET: SECRET}, r"at \$\[\.\.\.\]: expected `int`, got `str`"),
        (dict[int, int], {SECRET: 1}, r"at a key of \$: expected `int`, got `str`"),
        (Cat | Dog, {"type": SECRET}, r"at \$\.type"),
        (Picky, {"name": SECRET}, "does not fit"),
        (Rude, {"name": SECRET}, "does not fit"),
        (int, Foreign(), "an object of class Foreign"),
        (list[int], [1, Foreign()], "an object of class Foreign"),
        (Any, {SECRET: Foreign()}, "an object of class Foreign"),
        (str, SECRET + "\ud800", "lone surrogates"),
        (dict[int, int], {1 << 70: 1}, "dictionary key"),
        (int, None, "expected `int`, got `None`"),
        (Point, Cat(9), "missing required field `x`"),
        (list[int], (number for number in [1]), "an object of class generator"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_being_quoted(
    annotation: Any, value: Any, says: str
) -> None:
    """The error names endpoint, annotation, place and types; never what the value holds."""
    codec = codec_for(annotation, endpoint="shop.order")
    with pytest.raises(ValueEncodingError, match=says) as caught:
        codec.roundtrip(value)
    message = str(caught.value)
    assert message.startswith("shop.order: the value of -> ")
    assert SECRET not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_that_holds_itself_is_refused() -> None:
    """A cycle ends in an error, not in the interpreter's limits."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ValueEncodingError, match="holds itself"):
        codec_for(list[Any], endpoint="cycle").encode(cycle)


# -- bytes from elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation", [int, Order, Any, Tree, list[str], Cat | Dog, dict[str, Any], Box[int]], ids=str
)
@given(data=st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: b"\xc1" + tail))
def test_any_bytes_decode_or_are_refused(annotation: Any, data: bytes) -> None:
    """Whatever a store hands over, the outcome is a value that encodes again, or the one error."""
    codec = codec_for(annotation, endpoint="thing")
    try:
        value = codec.decode(data)
    except ValueEncodingError:
        return
    assert isinstance(codec.encode(value) if annotation is not Any else b"", bytes)


def test_bytes_of_another_shape_are_refused() -> None:
    """An entry of an older deploy reads as no value, which a caller treats as a miss."""
    data = codec_for(Order, endpoint="order").encode(Order(1, []))
    with pytest.raises(ValueEncodingError, match=r"missing required field `content`"):
        codec_for(Box[int], endpoint="box").decode(data)


def test_long_bytes_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Length is looked at first."""
    monkeypatch.setattr(codec_module, "VALUE_MAX_BYTES", 8)
    codec = codec_for(str, endpoint="text")
    assert codec.decode(codec.encode("1234567")) == "1234567"
    with pytest.raises(ValueEncodingError, match="9 bytes, more than 8"):
        codec.decode(codec.encode("12345678"))


@pytest.mark.parametrize("annotation", [Any, Tree, dict[str, Any], list[Any]], ids=str)
def test_deep_bytes_are_refused_before_they_are_decoded(annotation: Any) -> None:
    """Where the annotation does not bound the depth, the codec does."""
    with pytest.raises(ValueEncodingError, match=f"deeper than {LEVELS_MAX} levels"):
        codec_for(annotation, endpoint="deep").decode(b"\x91" * 100_000)


def test_depth_is_the_same_for_writing_and_reading() -> None:
    """What may be stored can be read: one level more is refused at the load already."""
    value: Any = 1
    for _ in range(LEVELS_MAX):
        value = [value]
    codec = codec_for(Any, endpoint="deep")
    assert codec.roundtrip(value)[1] == value
    with pytest.raises(ValueEncodingError, match="deeper than"):
        codec.roundtrip([value])
