"""How one stored value serves many readers so that none can change what another one sees."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from cacheaside.values.shape import Kind, Shape, reachable
from cacheaside.values.shaping import caches_on_itself

__all__ = ["Copier", "Sharing", "sharing_of"]

Copier = Callable[[Any], Any]


class Sharing(enum.Enum):
    """What every reader of one entry is given."""

    SHARED = "shared"
    """The same object: nothing in it can be changed."""
    COPY = "copy"
    """A shallow copy, which isolates fully: what it holds cannot be changed."""
    DECODE = "decode"
    """An object of its own, decoded from the bytes."""


def sharing_of(root: Shape) -> tuple[Sharing, Copier | None]:
    """The cheapest way that isolates readers, and for COPY the function that copies."""
    if all(_is_fixed(shape) for shape in reachable(root)):
        return Sharing.SHARED, None
    copiers: dict[type, Copier] = {}
    for shape in _alternatives(root):
        parts = [below for part in shape.parts for below in reachable(part.shape)]
        if not all(_is_fixed(below) for below in parts):
            return Sharing.DECODE, None
        if _is_fixed(shape):
            continue
        found = _copier(shape)
        if found is None:
            return Sharing.DECODE, None
        copiers[found[0]] = found[1]
    if len(_alternatives(root)) == 1:
        return Sharing.COPY, next(iter(copiers.values()))
    return Sharing.COPY, _copy_by_class(copiers)


def _is_fixed(shape: Shape) -> bool:
    """Whether the value itself cannot be changed, its parts aside."""
    return shape.frozen


def _alternatives(root: Shape) -> list[Shape]:
    return [part.shape for part in root.parts] if root.kind is Kind.UNION else [root]


_BUILTIN_COPIERS: dict[str, tuple[type, Copier]] = {
    "ListType": (list, list.copy),
    "SetType": (set, set.copy),
    "DictType": (dict, dict.copy),
    "TypedDictType": (dict, dict.copy),
    "ByteArrayType": (bytearray, bytearray.copy),
}


def _copier(shape: Shape) -> tuple[type, Copier] | None:
    """The class of the values of a mutable shape, and what copies one faster than decoding does."""
    builtin = _BUILTIN_COPIERS.get(shape.label.partition(" ")[0])
    if builtin is not None:
        return builtin
    cls = shape.cls
    if cls is None or caches_on_itself(cls):
        return None
    if issubclass(cls, msgspec.Struct):
        copy: Copier = msgspec.Struct.__copy__  # type: ignore[attr-defined]
        return cls, copy
    if hasattr(cls, "__pydantic_fields_set__"):
        return cls, cls.__copy__
    return (cls, _dict_copier(cls)) if _lives_in_dict(cls) else None


def _lives_in_dict(cls: Any) -> bool:
    """Whether a dataclass keeps all of its state in the instance `__dict__`. Slots are decoded faster."""
    if not hasattr(cls, "__dataclass_params__"):
        return False
    # A slot or a C base makes room for more.
    return cls.__dictoffset__ != 0 and bool(cls.__basicsize__ == _Ordinary.__basicsize__)


class _Ordinary:
    """A class whose instances hold a `__dict__` and nothing else."""


def _dict_copier(cls: type) -> Copier:
    new = object.__new__

    def copy(value: Any) -> Any:
        made: Any = new(cls)
        made.__dict__ = value.__dict__.copy()
        return made

    return copy


def _copy_by_class(copiers: dict[type, Copier]) -> Copier:
    def copy(value: Any) -> Any:
        copier = copiers.get(type(value))
        return value if copier is None else copier(value)

    return copy
