"""Which kinds of tags, and which endpoints, a function of the user's can name, read off its code without running it.

A function in `tags=` names its families by the names it uses. Each is looked up where the function would find it: in
its closure, its module, and, below a module or class, as an attribute. Functions that it calls by name are followed.
What it reaches in another way (an instance's attribute, a dictionary) is not seen.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from cacheaside.tags import Tag, TagFamily, family_of

__all__ = ["endpoints_named", "families_named"]

_DEPTH_MAX: Final = 4
"""How many calls deep it is followed."""


def families_named(written: Any) -> tuple[str, ...]:
    """The names of the families in `written`, what `tags=` or `value_tags=` was given: sorted, each once."""
    if written is None:
        return ()
    if isinstance(written, FunctionType):
        named = {_family(one) for one in _in_function(written, 0, set())}
        return tuple(sorted(name for name in named if name is not None))
    if callable(written):  # an instance with __call__, a partial
        inner = getattr(written, "func", None) or type(written).__dict__.get("__call__")
        return families_named(inner) if isinstance(inner, FunctionType) else ()
    return tuple(sorted({family_of(tag.id) for tag in written if isinstance(tag, Tag)}))


def endpoints_named(written: Any) -> tuple[str, ...]:
    """The names of the endpoints that a loader names: those it may read inside its load."""
    found = {_endpoint(one) for one in _in_function(written, 0, set())}
    return tuple(sorted(name for name in found if name is not None))


def _family(value: Any) -> str | None:
    if isinstance(value, TagFamily):
        return value.name
    return family_of(value.id) if isinstance(value, Tag) else None


def _endpoint(value: Any) -> str | None:
    endpoint = vars(value).get("endpoint") if isinstance(value, FunctionType) else None
    name = getattr(endpoint, "name", None)
    return name if isinstance(name, str) else None


def _is_endpoint(value: Any) -> bool:
    return _endpoint(value) is not None


def _in_function(function: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """The families, tags and endpoints that it names."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or depth > _DEPTH_MAX or id(function) in seen:
        return
    seen.add(id(function))
    closure: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not yet assigned
            continue
    for name in _names(function.__code__):
        yield from _of(closure.get(name, function.__globals__.get(name)), function.__code__, depth, seen)
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield from _of(default, function.__code__, depth, seen)


def _of(value: Any, code: CodeType, depth: int, seen: set[int]) -> Iterator[Any]:
    match value:
        case TagFamily() | Tag():
            yield value
        case FunctionType() if _is_endpoint(value):
            yield value
        case FunctionType():
            yield from _in_function(value, depth + 1, seen)
        case ModuleType() | type():
            held: Mapping[str, Any] = vars(value)
            for name in _names(code):
                one = held.get(name)
                if isinstance(one, (TagFamily, Tag)) or _is_endpoint(one):
                    yield from _of(one, code, depth, seen)
        case _:
            return


def _names(code: CodeType) -> set[str]:
    """Every name in `code`, and in the functions and comprehensions written inside it."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found
