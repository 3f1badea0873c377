"""The parts of a value that its annotation leaves open come back as msgpack has them, so only that may go in.

An `Any` does not say that "2024-01-01" was a date, or that a list was a tuple. Such a value would change its type
between the load and the next hit; it is refused instead, at the first load, with the place where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cacheaside.values.shape import Kind, Shape, reachable

__all__ = ["UntypedParts"]

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})


class UntypedParts:
    """The untyped parts below one shape, and the check of them."""

    def __init__(self, root: Shape) -> None:
        self._root = root
        self._holders = _holders(root)

    def __bool__(self) -> bool:
        return bool(self._holders)

    def changed(self, value: Any) -> tuple[str, str] | None:
        """Path and type of something in an untyped part of `value` that would come back as another type.

        `value` has been encoded before, so it fits its shape and does not hold itself.
        """
        return self._in_shape(self._root, value, "$")

    def _in_shape(self, shape: Shape, value: Any, path: str) -> tuple[str, str] | None:
        if id(shape) not in self._holders or value is None:
            return None
        if shape.kind is Kind.ANY:
            return _in_open(value, path)
        for part, item, below in self._items(shape, value, path):
            found = self._in_shape(part, item, below)
            if found is not None:
                return found
        return None

    def _items(self, shape: Shape, value: Any, path: str) -> list[tuple[Shape, Any, str]]:
        parts = shape.parts
        if shape.kind is Kind.UNION:
            return [(part.shape, value, path) for part in parts if _may_be(part.shape, value)]
        if shape.kind is Kind.SEQUENCE:
            return [(parts[0].shape, item, f"{path}[...]") for item in value]
        if shape.kind is Kind.TUPLE:
            places = enumerate(zip(parts, value, strict=False))
            return [(part.shape, item, f"{path}[{at}]") for at, (part, item) in places]
        if shape.kind is Kind.MAPPING:
            keys = [(parts[0].shape, key, f"{path} (a key)") for key in value]
            return keys + [(parts[1].shape, item, f"{path}[...]") for item in value.values()]
        return [(part.shape, _field(value, part.name), f"{path}.{part.name}") for part in parts]


def _holders(root: Shape) -> set[int]:
    """The ids of all shapes with an untyped part somewhere below them, found from those parts upwards."""
    shapes = reachable(root)
    above: dict[int, list[Shape]] = {}
    for shape in shapes:
        for part in shape.parts:
            above.setdefault(id(part.shape), []).append(shape)
    waiting = [shape for shape in shapes if shape.kind is Kind.ANY]
    found: set[int] = set()
    while waiting:
        shape = waiting.pop()
        if id(shape) not in found:
            found.add(id(shape))
            waiting.extend(above.get(id(shape), ()))
    return found


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _may_be(shape: Shape, value: Any) -> bool:
    """Whether `value` is what this member of a union stands for. msgspec allows one member of each sort."""
    if shape.kind in (Kind.SEQUENCE, Kind.TUPLE):
        return isinstance(value, list | tuple | set | frozenset)
    if shape.kind is Kind.RECORD and shape.label != "TypedDictType":
        return isinstance(value, shape.cls | Mapping)
    return shape.kind is Kind.ANY or isinstance(value, Mapping)


def _in_open(value: Any, path: str) -> tuple[str, str] | None:
    cls = type(value)
    if cls in _ATOMS:
        return None
    if cls is list:
        return next((found for item in value if (found := _in_open(item, f"{path}[...]")) is not None), None)
    if cls is dict:
        for key, item in value.items():
            if type(key) not in _ATOMS:
                return f"{path} (a key)", type(key).__qualname__
            found = _in_open(item, f"{path}[...]")
            if found is not None:
                return found
        return None
    return path, cls.__qualname__
