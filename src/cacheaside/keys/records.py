"""The fields of a record instance: dataclass, Struct, attrs class, NamedTuple or pydantic model."""

from __future__ import annotations

import functools
from typing import Any

from cacheaside.errors import KeyEncodingError

__all__ = ["field_names", "fields_of"]


def field_names(cls: type) -> tuple[str, ...]:
    """The declared fields of `cls`, in their declared order."""
    known: Any = cls
    if hasattr(known, "__struct_fields__"):
        return tuple(known.__struct_fields__)
    if hasattr(known, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in known.__attrs_attrs__)
    if hasattr(known, "__pydantic_core_schema__") and hasattr(known, "model_fields"):
        return tuple(known.model_fields)
    if hasattr(known, "__dataclass_fields__"):
        # Pseudo-fields (ClassVar, InitVar) are in the same table; dataclasses.fields() filters them alike.
        from dataclasses import fields

        return tuple(field.name for field in fields(known))
    return tuple(known._fields)


def fields_of(value: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Each field of `value` with its name; refuses an instance that holds more than its class declares."""
    _refuse_undeclared(value, names)
    try:
        pairs = [(name, getattr(value, name)) for name in names]
    except AttributeError as error:
        raise KeyEncodingError(
            f"A {type(value).__qualname__} without its field {error.name!r} cannot be part of a cache key: "
            "set the field first."
        ) from None
    extra = getattr(value, "__pydantic_extra__", None)
    if extra:
        pairs.append(("~", dict(extra)))  # no field is named so
    return pairs


def _refuse_undeclared(value: Any, names: tuple[str, ...]) -> None:
    undeclared: set[str] = set(getattr(value, "__dict__", ())) - set(names)
    undeclared |= set(getattr(value, "__pydantic_private__", None) or ())
    cls = type(value)
    # What cached_property keeps was computed from the fields.
    computed = {
        name for name in undeclared if isinstance(getattr(cls, name, None), functools.cached_property)
    }
    undeclared -= computed
    if undeclared:
        raise KeyEncodingError(
            f"A {cls.__qualname__} with attributes that its class does not declare as fields "
            f"({', '.join(sorted(undeclared))}) cannot be part of a cache key: pass an id, or give "
            f"{cls.__qualname__} a __cache_key__() method that returns the parts that identify it."
        )
