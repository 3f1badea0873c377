"""Fingerprints: a changed shape changes them, anything else does not, in any process."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest

from cacheaside.values import codec_for

T = TypeVar("T")


def fingerprint(annotation: Any) -> str:
    return codec_for(annotation, endpoint="thing").fingerprint


def struct(*fields: Any, name: str = "View", **options: Any) -> Any:
    return msgspec.defstruct(name, fields, **options)


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Color2(enum.Enum):
    GREEN = 2
    RED = 1


class MoreColors(enum.Enum):
    RED = 1
    GREEN = 2
    BLUE = 3


class OtherValues(enum.Enum):
    RED = 2
    GREEN = 1


class Node(msgspec.Struct):
    value: int
    next: Node | None = None


class Link(msgspec.Struct, kw_only=True):
    next: Link | None = None
    value: int


class NodeOfStr(msgspec.Struct):
    value: str
    next: NodeOfStr | None = None


class Ping(msgspec.Struct):
    value: int
    next: Pong | None = None


class Pong(msgspec.Struct):
    value: int
    next: Ping | None = None


class PongOfStr(msgspec.Struct):
    value: str
    next: PingToStr | None = None


class PingToStr(msgspec.Struct):
    value: int
    next: PongOfStr | None = None


class Box(msgspec.Struct, Generic[T]):
    content: T


class PairA(NamedTuple):
    a: int
    b: int


class PairB(NamedTuple):
    b: int
    a: int


class RowA(TypedDict):
    a: int


class RowB(TypedDict):
    a: NotRequired[int]


class Model(pydantic.BaseModel):
    a: int
    inner: Inner


class Inner(pydantic.BaseModel):
    b: int


class Documented(pydantic.BaseModel):
    """A description."""

    a: int = pydantic.Field(title="The a", description="what it is", alias="A")
    inner: Inner


class Deeper(pydantic.BaseModel):
    a: int
    inner: InnerOfStr


class InnerOfStr(pydantic.BaseModel):
    b: str


DIFFERENT: list[Any] = [
    int,
    str,
    int | None,
    int | str,
    float,
    bytes,
    Any,
    list[int],
    list[str],
    set[int],
    tuple[int, int],
    tuple[int, ...],
    dict[str, int],
    dict[int, str],
    Color,
    MoreColors,
    OtherValues,
    Literal["a", "b"],
    Literal["a"],
    Annotated[int, msgspec.Meta(ge=0)],
    Annotated[str, msgspec.Meta(pattern="^a$")],
    struct(),
    struct(("a", int)),
    struct(("a", str)),
    struct(("b", int)),
    struct(("a", int, 1)),
    struct(("a", int | None)),
    struct(("a", int), ("b", int)),
    struct(("a", int), tag=True),
    struct(("a", int), tag="x"),
    struct(("a", int), tag="x", tag_field="kind"),
    struct(("a", int), ("b", int), array_like=True),
    struct(("b", int), ("a", int), array_like=True),
    struct(("a", int, 1), omit_defaults=True),
    struct(("a", int, 2), omit_defaults=True),
    struct(("a", list[int], msgspec.field(default_factory=list)), omit_defaults=True),
    struct(("a", struct(("b", int)))),
    struct(("a", struct(("b", str)))),
    struct(("a", int), rename="upper"),
    Node,
    NodeOfStr,
    PingToStr,
    PongOfStr,
    Box[int],
    Box[str],
    Box[Box[int]],
    Box,
    PairA,
    PairB,
    RowA,
    RowB,
    Model,
    Deeper,
    Inner,
]


def test_different_shapes_have_different_fingerprints() -> None:
    """Names, types, presence of defaults, members, tags, order where it counts, at any depth."""
    seen: dict[str, Any] = {}
    for annotation in DIFFERENT:
        text = fingerprint(annotation)
        assert seen.setdefault(text, annotation) is annotation
        assert len(text) == 8
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz234567")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (struct(("a", int), ("b", str)), struct(("b", str), ("a", int))),
        (struct(("a", int), name="One"), struct(("a", int), name="Other", module="elsewhere")),
        (struct(("a", int, 1)), struct(("a", int, 2))),
        (struct(("a", int)), struct(("a", int), frozen=True, kw_only=True)),
        (int | str | None, None | str | int),
        (Literal["a", "b", 1], Literal[1, "b", "a"]),
        (Color, Color2),
        (Node, Link),
        (Node, Ping),
        (Ping, Pong),
        (Box[int], struct(("content", int))),
        (Model, Documented),
        (object, Any),
    ],
)
def test_what_bytes_do_not_show_does_not_count(one: Any, other: Any) -> None:
    """Order of fields and members, names of classes, values of defaults, titles: old bytes still read alike."""
    assert fingerprint(one) == fingerprint(other)


def test_recursive_shapes_that_unfold_alike_are_alike() -> None:
    """A cycle of two equal classes reads the same bytes as a cycle of one; a difference anywhere in it shows."""
    assert fingerprint(Node) == fingerprint(Ping) == fingerprint(Pong)
    assert len({fingerprint(kind) for kind in (Node, NodeOfStr, PingToStr, PongOfStr)}) == 4


def test_a_densely_recursive_schema_has_a_fingerprint() -> None:
    """Work grows with the schema, not with the number of paths through it, which would never end here."""
    names = [f"N{index}" for index in range(40)]
    namespace: dict[str, Any] = {}
    for name in names:
        annotations = {f"f{other}": f"{other} | None" for other in names}
        meta: Any = type(msgspec.Struct)
        namespace[name] = meta(
            name, (msgspec.Struct,), {"__annotations__": annotations, "__module__": "wide_schema"}
        )
    module = type(sys)("wide_schema")
    module.__dict__.update(namespace)
    sys.modules["wide_schema"] = module
    try:
        assert len(fingerprint(namespace["N0"])) == 8
    finally:
        del sys.modules["wide_schema"]


_IN_A_FRESH_PROCESS = """
import enum, msgspec
from dataclasses import dataclass
from typing import Any, Literal, TypedDict
from cacheaside.values import codec_for

class Color(enum.Enum):
    RED = "r"
    BLUE = "b"

class Row(TypedDict, total=False):
    a: int
    b: frozenset[str]

@dataclass
class View:
    color: Color
    kind: Literal["x", "y", "z", 1]
    rows: list[Row]
    rest: dict[str, Any]
    parent: "View | int | None" = None

print(codec_for(View, endpoint="view").fingerprint)
"""


def test_a_fingerprint_does_not_depend_on_the_process() -> None:
    """Processes with different hash seeds agree."""
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        run = subprocess.run(
            [sys.executable, "-c", _IN_A_FRESH_PROCESS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(run.stdout.strip())
    assert outputs == {"qbjjrect"}


@dataclass
class View:
    ident: int
    name: str = ""
    tags: list[str] = field(default_factory=list)


@attrs.define
class Crate:
    size: int = 1


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "wc5yihyv"),
        (View, "j3ftcepe"),
        (View | None, "nmgpnwj6"),
        (Crate, "2qbb7dep"),
        (Node, "bl4h2xbq"),
        (Color, "ykeu4mzu"),
        (dict[str, list[Any]], "dninpztj"),
        (struct(("a", int, 1), omit_defaults=True, tag="x"), "vognn62y"),
    ],
)
def test_fingerprints_have_not_changed(annotation: Any, expected: str) -> None:
    """The same shape has the same fingerprint in every version of this library."""
    assert fingerprint(annotation) == expected, (
        "Fingerprints changed: every entry of these shapes is loaded again on upgrade. If that is meant, say so in "
        "CHANGELOG.md and change this table; raise VALUE_FORMAT in cacheaside/values/fingerprint.py if bytes changed "
        "whose shape did not."
    )
