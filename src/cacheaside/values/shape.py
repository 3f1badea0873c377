"""What a return annotation looks like on the wire: a graph of shapes, built once at decoration.

Fingerprint, sharing and the check of untyped parts are read off this graph. It may have cycles: a recursive type
is one node that is reached again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Kind", "Part", "Shape", "has_cycle", "reachable"]


class Kind(enum.Enum):
    """How values of a shape are built, as far as copying and checking them is concerned."""

    ATOM = enum.auto()
    """Immutable, without parts."""
    ANY = enum.auto()
    """Untyped: comes back as whatever the bytes say."""
    OPAQUE = enum.auto()
    """Mutable or unknown, without parts that could be looked at."""
    SEQUENCE = enum.auto()
    """list, set, or a tuple or frozenset of any length; one part."""
    TUPLE = enum.auto()
    """A tuple of fixed length; one part for each place."""
    MAPPING = enum.auto()
    """Two parts: key and value."""
    UNION = enum.auto()
    RECORD = enum.auto()
    """Struct, dataclass, attrs class, TypedDict, NamedTuple or pydantic model; one part for each field."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a record, a member of a union, an element."""

    name: str
    """The field as Python knows it; empty where there is no name."""
    wire_name: str
    """The field as the bytes know it, with what else tells shapes apart: whether it may be missing."""
    shape: Shape


@dataclass(slots=True, eq=False)
class Shape:
    """One node: a type with what is stored of it. Compared by identity."""

    kind: Kind
    label: str
    """What the type is on the wire, constraints included; equal for types whose bytes read alike."""
    cls: Any = None
    frozen: bool = False
    """Whether the value itself cannot be changed; its parts are looked at on their own."""
    ordered: bool = False
    """Whether the bytes know the parts by place rather than by name."""
    parts: list[Part] = field(default_factory=list)


def reachable(root: Shape) -> list[Shape]:
    """`root` and every shape below it, each once."""
    found: dict[int, Shape] = {}
    waiting = [root]
    while waiting:
        shape = waiting.pop()
        if id(shape) not in found:
            found[id(shape)] = shape
            waiting.extend(part.shape for part in shape.parts)
    return list(found.values())


def has_cycle(root: Shape) -> bool:
    """Whether some shape below `root` holds itself, so that values nest without a bound."""
    entered: set[int] = set()
    left: set[int] = set()
    walk: list[tuple[Shape, Iterator[Part]]] = [(root, iter(root.parts))]
    entered.add(id(root))
    while walk:
        shape, parts = walk[-1]
        below = next((part.shape for part in parts if id(part.shape) not in left), None)
        if below is None:
            left.add(id(shape))
            walk.pop()
        elif id(below) in entered:
            return True
        else:
            entered.add(id(below))
            walk.append((below, iter(below.parts)))
    return False
