"""What kind of value a class makes, as far as a key is concerned: one decision for decoration and run time.

A class is looked at, never its module: nothing is imported to recognise a `Struct` or a pydantic model.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any
from uuid import UUID

from cacheaside.keys.text import escaped

__all__ = ["BUILTINS", "CLASSES_REMEMBERED", "Kind", "class_text", "kind_of"]

CLASSES_REMEMBERED = 1024
"""How many classes keep what was found out about them, in entries; the rest is found out again."""

BUILTINS: tuple[type, ...] = (
    # A subclass stands before what it derives from.
    int, float, str, bytes, Decimal, UUID, datetime, date, time, timedelta,
    tuple, list, frozenset, set, OrderedDict, dict,
)  # fmt: skip
"""The classes with an encoding of their own that user classes derive from."""

_EXACT: frozenset[type] = frozenset({*BUILTINS, bool, type(None), range})
_IP_CLASSES = {"IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"}
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement, not by C code


class Kind(enum.Enum):
    """How a value of some class becomes part of a key."""

    EXACT = enum.auto()
    """One of the classes with an encoding of its own, and no subclass of it."""
    KEYED = enum.auto()
    """It has a `__cache_key__` method, which returns what identifies it."""
    MEMBER = enum.auto()
    """A member of an Enum: by class and name, never by value."""
    FLAG = enum.auto()
    """A Flag: by class and bits, since combinations have no name of their own."""
    RECORD = enum.auto()
    """Dataclass, Struct, attrs class, NamedTuple or pydantic model: by class and fields."""
    DERIVED = enum.auto()
    """A subclass of a builtin without state of its own: by class and builtin value."""
    MAPPING = enum.auto()
    """Any other mapping whose equality is that of its items."""
    PATH = enum.auto()
    IP = enum.auto()
    ZONE = enum.auto()


def kind_of(cls: type) -> Kind | None:
    """The kind of `cls`, or None when its instances have no encoding."""
    if cls in _EXACT:
        return Kind.EXACT
    if callable(getattr(cls, "__cache_key__", None)):
        return Kind.KEYED
    if issubclass(cls, enum.Enum):
        return Kind.FLAG if issubclass(cls, enum.Flag) else Kind.MEMBER
    builtin = next((base for base in BUILTINS if issubclass(cls, base)), None)
    if _is_record(cls, builtin):
        return Kind.RECORD
    if builtin is not None:
        return Kind.DERIVED if _is_stateless(cls, builtin) else None
    return _kind_of_library_class(cls)


def _kind_of_library_class(cls: type) -> Kind | None:
    if issubclass(cls, PurePath) and cls.__module__.partition(".")[0] == "pathlib":
        return Kind.PATH
    if cls.__module__ == "ipaddress" and cls.__name__ in _IP_CLASSES:
        return Kind.IP
    if issubclass(cls, tzinfo):
        return Kind.ZONE
    # Only Mapping's own equality promises that the items are all there is. A multidict shows one value of
    # many in its items and compares otherwise; a request is a mapping that compares by identity.
    eq: Any = cls.__eq__
    if cls is MappingProxyType or (issubclass(cls, Mapping) and eq is Mapping.__eq__):
        return Kind.MAPPING
    return None


def _is_record(cls: type, builtin: type | None) -> bool:
    if hasattr(cls, "__mapper__") or hasattr(cls, "_sa_class_manager"):
        return False  # an ORM object: its fields are read from the database when looked at
    if builtin is not None:
        return builtin is tuple and isinstance(getattr(cls, "_fields", None), tuple)
    return (
        hasattr(cls, "__struct_fields__")
        or hasattr(cls, "__attrs_attrs__")
        or hasattr(cls, "__dataclass_fields__")
        or hasattr(cls, "__pydantic_core_schema__")
    )


def _is_stateless(cls: type, builtin: type) -> bool:
    """Whether `cls` adds no room for state to the builtin (an instance `__dict__` is looked at later)."""
    for base in cls.__mro__:
        if base in builtin.__mro__:
            continue
        slots = vars(base).get("__slots__", ())
        names = {slots} if isinstance(slots, str) else set(slots)
        if not base.__flags__ & _HEAP_TYPE or names - {"__dict__", "__weakref__"}:
            return False
    return True


@lru_cache(maxsize=CLASSES_REMEMBERED)
def class_text(cls: type) -> str:
    """``module~Qualified.Name``. Two classes of one name in one module count as one, as for pickle."""
    return f"{escaped(cls.__module__)}~{escaped(cls.__qualname__)}"
