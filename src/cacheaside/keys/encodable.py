"""Whether arguments of some annotation can be part of a key at all: asked once, at decoration."""

from __future__ import annotations

import collections.abc as abc
from typing import Any, Literal, get_args, get_origin, is_typeddict

from cacheaside.keys.annotations import ALIASES_MAX, members
from cacheaside.keys.classes import BUILTINS, kind_of
from cacheaside.keys.encode import refusal

__all__ = ["encodable"]

_READ_ONCE = (abc.Iterator, abc.AsyncIterator, abc.Awaitable, abc.AsyncIterable)
_WITHOUT_VALUE: tuple[Any, ...] = (type, abc.Callable)


def encodable(annotation: Any) -> str | None:
    """None if arguments annotated so may have an encoding; otherwise a sentence: why not, and what to do.

    Every member of a union and every element of a container has to pass, since one that does not is a call
    that fails. What only run time can tell passes: `Any`, `object`, type variables, protocols, abstract
    classes.
    """
    return _why_not(annotation, ALIASES_MAX)


def _why_not(annotation: Any, levels_left: int) -> str | None:
    if levels_left == 0:  # an alias that holds itself
        return None
    for member in members(annotation):
        origin = get_origin(member)
        if origin is None:
            reason = _why_not_class(member) if isinstance(member, type) else None
        elif origin is Literal:
            reason = None
        else:
            reason = _why_not_generic(origin, get_args(member), levels_left)
        if reason is not None:
            return reason
    return None


def _why_not_generic(origin: Any, args: tuple[Any, ...], levels_left: int) -> str | None:
    if not isinstance(origin, type):
        return None
    reason = _why_not_class(origin)
    if reason is not None:
        return reason
    if issubclass(origin, (*BUILTINS, abc.Collection)):
        return next((why for arg in args if (why := _why_not(arg, levels_left - 1)) is not None), None)
    return None


def _why_not_class(cls: type) -> str | None:
    if issubclass(cls, _READ_ONCE):
        return (
            f"A {cls.__qualname__} can be read only once, and reading it for the key would use it up: "
            "pass a list or a tuple, or name the parameter in ignore=."
        )
    if cls in _WITHOUT_VALUE:
        return (
            f"A {cls.__qualname__.lower()} has no encoding that is the same in every process: pass a name "
            "that stands for it, or name the parameter in ignore=."
        )
    if kind_of(cls) is not None or is_typeddict(cls) or _has_unknown_values(cls):
        return None
    return refusal(cls)


def _has_unknown_values(cls: type) -> bool:
    """Whether the values are of other classes than `cls` itself, which only run time shows."""
    if cls is Any or getattr(cls, "_is_protocol", False) or getattr(cls, "__abstractmethods__", None):
        return True
    return any(issubclass(known, cls) for known in BUILTINS)  # object, Hashable, numbers.Number, …
