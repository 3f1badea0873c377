"""Which raw arguments may be dictionary keys themselves, so that a hit need not encode anything.

A set of classes is *plain* if two values of exactly these classes that compare equal have equal encodings. It
is about equality across the whole set: `int` and `str` are plain, and so is each with `None`, but `int` and
`bool` together are not, since `1 == True`.
"""

from __future__ import annotations

import enum
from datetime import date
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from cacheaside.keys.annotations import members

__all__ = ["DEFAULT_PLAIN", "plain_types"]

DEFAULT_PLAIN: frozenset[type] = frozenset({int, str, bytes, type(None), UUID})
"""Plain together, whatever the annotation says: none of them ever equals one of the others."""

_PLAIN_BUILTINS: frozenset[type] = DEFAULT_PLAIN | {bool, date}


def plain_types(annotation: Any) -> frozenset[type] | None:
    """The exact classes whose values are dictionary keys as they are, for a parameter annotated so.

    Guarantee: for `a` and `b` of these classes, `a == b` implies `encode(a) == encode(b)`. Values of any
    other class, subclasses included, have to be encoded first. None: there is no such class, always encode.
    Whatever cannot be told from the annotation (`Any`, a TypeVar, a name that does not resolve) gives
    `DEFAULT_PLAIN`, which holds for arguments of any type.
    """
    found: set[type] = set()
    for member in members(annotation):
        found |= _plain_of(member)
    return frozenset(_apart(found)) or None


def _plain_of(member: Any) -> set[type]:
    if get_origin(member) is Literal:
        classes = {type(value) for value in get_args(member)}
        return {cls for cls in classes if cls in _PLAIN_BUILTINS or _is_plain_enum(cls)}
    if not isinstance(member, type):
        return set(DEFAULT_PLAIN) if get_origin(member) is None else set()
    if member in _PLAIN_BUILTINS or _is_plain_enum(member):
        return {member}
    return set(DEFAULT_PLAIN) if member is object or member is Any else set()  # Any is a class in 3.11


def _is_plain_enum(cls: type) -> bool:
    """Whether distinct members of `cls` never compare equal, nor equal what `_apart` does not know of."""
    if not issubclass(cls, enum.Enum) or _equality_of(cls) is None:
        return False
    try:
        distinct = set(cls)
    except TypeError:  # not hashable
        return False
    return len(distinct) == len(list(cls))


def _equality_of(cls: type) -> type | None:
    """The class whose `__eq__` an enum uses, if that is one of those understood here."""
    eq: Any = cls.__eq__
    return next((base for base in (object, int, str) if eq is base.__eq__), None)


def _apart(found: set[type]) -> set[type]:
    """`found` without classes whose values can equal those of another one in it."""
    for builtin, family in (
        (int, {cls for cls in found if cls in (int, bool) or _is_mixed(cls, int)}),
        (str, {cls for cls in found if cls is str or _is_mixed(cls, str)}),
    ):
        if len(family) > 1:
            found = (found - family) | (family & {builtin})
    return found


def _is_mixed(cls: type, builtin: type) -> bool:
    return issubclass(cls, enum.Enum) and _equality_of(cls) is builtin
