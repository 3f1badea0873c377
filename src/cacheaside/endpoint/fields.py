"""In which top-level fields two values differ: by names that a class declares, never by what is data.

The keys of a mapping are data, and may be personal, so a mapping counts as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

__all__ = ["different_fields"]

_MISSING: Final = object()


def different_fields(one: Any, other: Any) -> tuple[str, ...]:
    """The names of the fields whose values differ, as declared; () where the two have no fields in common."""
    if type(one) is not type(other):
        return ()
    return tuple([
        name
        for name in _declared(one)
        if getattr(one, name, _MISSING) != getattr(other, name, _MISSING)
    ])  # fmt: skip


def _declared(value: Any) -> Sequence[str]:
    """What the class of `value` declares: a Struct, a dataclass, an attrs class, a Pydantic model, a named tuple."""
    cls = type(value)
    if is_dataclass(cls):
        return [field.name for field in fields(cls)]
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        return [attribute.name for attribute in attributes]
    for names in ("__struct_fields__", "model_fields", "_fields"):
        found = getattr(cls, names, None)
        if found is not None:
            return [name for name in found if isinstance(name, str)]
    return ()
