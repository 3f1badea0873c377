"""Parameters whose annotation tells which classes a value may have: what is told to the cache about others is lost.

A read with a value of another class works, and has a key of its own. To invalidate such a key by mistake, `"7"` for 7,
would do nothing, silently. So whatever is told about a key, and answers nothing, is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import Enum
from inspect import Parameter
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

from cacheaside.errors import UsageError
from cacheaside.keys.annotations import members

__all__ = ["Scalars", "check_scalars", "scalar_classes"]

Scalars = frozenset[type] | None
_SCALARS: Final = frozenset((int, str, bytes, bool, date, UUID, type(None)))
"""Compared by exact class: a subclass is encoded apart, so it names another key."""


def scalar_classes(annotation: Any) -> Scalars:
    """The classes that a parameter annotated so takes, when they are plain ones; None when it may take others."""
    found: set[type] = set()
    for member in members(annotation):
        if get_origin(member) is Literal:
            found |= {type(value) for value in get_args(member)}
        elif isinstance(member, type) and (member in _SCALARS or issubclass(member, Enum)):
            found.add(member)
        elif member is float:
            found |= {float, int}  # as type checkers have it
        else:
            return None
    return frozenset(found)


def check_scalars(where: str, parameters: Sequence[tuple[Parameter, Scalars, Any]]) -> None:
    """A `UsageError` for a value of another class than its parameter declares; it names classes, never the value."""
    for parameter, classes, value in parameters:
        if classes is None:
            continue
        for given in _parts(parameter, value):
            if not any(_is_of(given, one) for one in classes):
                raise UsageError(
                    f"{where} got a {type(given).__name__} for parameter {parameter.name!r}, which is declared "
                    f"{' | '.join(sorted(map(_word, classes)))}: it names another key, and nothing would happen to the "
                    "one that is meant. Convert it, or declare the parameter with that class."
                )


def _parts(parameter: Parameter, value: Any) -> Iterable[Any]:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return tuple(value)
    return tuple(value.values()) if parameter.kind is Parameter.VAR_KEYWORD else (value,)


def _is_of(given: Any, kind: type) -> bool:
    return type(given) is kind or (issubclass(kind, Enum) and isinstance(given, kind))


def _word(kind: type) -> str:
    return "None" if kind is type(None) else kind.__name__
