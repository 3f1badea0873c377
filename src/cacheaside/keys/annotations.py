"""Taking an annotation apart: aliases, NewType and Annotated off, unions into their members."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, NewType, Union, get_args, get_origin

__all__ = ["ALIASES_MAX", "members"]

ALIASES_MAX = 64
"""How many aliases in aliases are followed; a longer (or endless) chain counts as unknown."""


def members(annotation: Any) -> Iterator[Any]:
    """The members of a union with everything that is only a name taken off; one member if it is no union."""
    yield from _members(annotation, ALIASES_MAX)


def _members(annotation: Any, aliases_left: int) -> Iterator[Any]:
    if aliases_left == 0:
        yield Any
        return
    origin = get_origin(annotation)
    if origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from _members(member, aliases_left - 1)
    elif origin is Annotated:
        yield from _members(annotation.__origin__, aliases_left - 1)
    elif isinstance(annotation, NewType):
        yield from _members(annotation.__supertype__, aliases_left - 1)
    elif (alias := _alias(annotation)) is not None:
        yield from _members(_alias_value(alias), aliases_left - 1)
    else:
        yield type(None) if annotation is None else annotation


def _alias(annotation: Any) -> Any:
    """The `type X = …` behind an annotation, by its class name: Python 3.11 has none of its own."""
    for candidate in (annotation, get_origin(annotation)):
        if type(candidate).__name__ == "TypeAliasType":
            return candidate
    return None


def _alias_value(alias: Any) -> Any:
    try:
        return alias.__value__
    except NameError:  # it names something that exists for type checkers only
        return Any
