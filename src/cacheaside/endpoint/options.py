"""The options of `@cache.read`: checked, and made into functions of a call's values.

Whatever type checkers would have said, it is looked at again here: a message that says what to write instead is worth
more than the error that would follow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, Final

from cacheaside.contract import Contract
from cacheaside.endpoint.asking import asked_names, picker
from cacheaside.endpoint.colours import Colour, colour_of_opener
from cacheaside.endpoint.endpoint import Unset
from cacheaside.endpoint.inline import NAME as INLINE
from cacheaside.endpoint.parameters import Parameters, no_classmethod
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.source.source import Source
from cacheaside.stores.redis.wire.stamp import TAGS_MAX
from cacheaside.tags import Tag, TagFamily

__all__ = [
    "Declaration",
    "Tags",
    "Vary",
    "check_colour",
    "check_function",
    "check_name",
    "check_options",
    "ignored",
    "tags_of",
    "unknown_options",
    "value_tags_of",
    "varied_names",
    "varied_values",
    "vary_parts",
]

Tags = Callable[..., Iterable[Tag]] | Iterable[Tag]
Varying = ContextVar[Any] | Callable[..., Any]
Vary = Varying | Iterable[Varying]


@dataclass(frozen=True, slots=True)
class Declaration:
    """The arguments of `@cache.read`."""

    name: str
    contract: Contract
    source: Source[Any] | None
    tags: Tags
    value_tags: Callable[..., Iterable[Tag]] | None
    vary: Vary
    ignore: Iterable[str]
    version: int | str
    max_tags: int
    heat: bool | None = None


def check_name(d: Declaration) -> None:
    """An endpoint has a name of its own."""
    name: Any = d.name
    if callable(name):
        raise DeclarationError(
            '@cache.read takes a name and a contract: @cache.read("product", Contract(ttl="60s")), then the function.'
        )
    if not isinstance(name, str) or not name:
        raise DeclarationError(f'An endpoint needs a name: @cache.read("product", …), not {name!r}.')
    if name.partition("/")[0] == INLINE:
        raise DeclarationError(f"{name!r} is the name of inline reads; call the endpoint something else.")


def unknown_options(name: Any, unknown: Iterable[str]) -> DeclarationError:
    """What to say of options that there are not: those of a contract belong into one."""
    words = ", ".join(f"{option}=" for option in unknown)
    if any(option in _CONTRACT_OPTIONS for option in unknown):
        return DeclarationError(
            f"@cache.read has no {words}: that belongs into the contract: "
            f'@cache.read({name!r}, Contract(ttl="60s", …)).'
        )
    known = ", ".join(f"{field.name}=" for field in fields(Declaration)[2:])
    return DeclarationError(f"@cache.read has no {words}; after the name and the contract it takes {known}.")


_CONTRACT_OPTIONS: Final = frozenset(field.name for field in fields(Contract) if field.init)


def check_options(d: Declaration, where: str, *, shared: bool) -> None:
    """Each option is of the kind that it has to be."""
    source: Any = d.source
    contract: Any = d.contract
    version: Any = d.version
    max_tags: Any = d.max_tags
    if contract is None:
        raise DeclarationError(
            f'{where}: a contract is missing: @cache.read({d.name!r}, Contract(ttl="60s")). '
            "There is no cached value without a bound."
        )
    if not isinstance(contract, Contract):
        raise DeclarationError(
            f'{where}: the second argument is a Contract, such as Contract(ttl="60s"), '
            f"not a {type(contract).__name__}."
        )
    if source is not None and not isinstance(source, Source):
        raise DeclarationError(
            f"{where}: source= takes what cache.source(…) returned, not a {type(source).__name__}."
        )
    if isinstance(version, bool) or not isinstance(version, (int, str)):
        raise DeclarationError(
            f"{where}: version= must be a whole number or a string, not a {type(version).__name__}."
        )
    if d.heat not in (None, True, False):
        raise DeclarationError(f"{where}: heat= must be True, False or None, not a {type(d.heat).__name__}.")
    if isinstance(max_tags, bool) or not isinstance(max_tags, int) or max_tags < 2:
        raise DeclarationError(f"{where}: max_tags= must be a whole number, at least 2.")
    if shared and max_tags > TAGS_MAX:
        raise DeclarationError(
            f"{where}: max_tags={max_tags}: with a shared tier {TAGS_MAX} is the most that an entry can have. Name "
            "fewer, coarser tags."
        )


def check_function(function: Any, where: str) -> None:
    """What is decorated is a function, written with def or async def, that returns a value once."""
    if hasattr(function, "endpoint") and hasattr(function, "lookup"):
        raise DeclarationError(f"{where}: it is cached already; decorate the function once.")
    if isinstance(function, staticmethod):
        raise DeclarationError(f"{where}: put @staticmethod above @cache.read, not below it.")
    if isinstance(function, classmethod):
        raise no_classmethod(where)
    if isinstance(function, property):
        raise DeclarationError(
            f"{where}: a property cannot be cached; cache a method, and call it from the property."
        )
    if isinstance(function, type):
        raise DeclarationError(
            f"{where}: a class cannot be cached; decorate the function or method that loads."
        )
    if not inspect.isfunction(function):
        raise DeclarationError(
            f"{where}: @cache.read decorates a function written with def or async def, "
            f"not a {type(function).__name__}; wrap it in one."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{where}: a generator is used up by its first reader; return a list or a tuple instead."
        )


def check_colour(source: Source[Any], is_async: bool, where: str) -> None:
    """A `def` has a source that it can open, as far as can be told before the first load."""
    if not is_async and colour_of_opener(source.open) is Colour.ASYNC:
        raise DeclarationError(
            f"{where} is a `def`, but source {source.name!r} opens an async resource. Write `async def`, or declare "
            "a source whose open= returns a plain context manager."
        )


def ignored(ignore: Any, where: str) -> tuple[str, ...]:
    """The names in `ignore=`."""
    names: tuple[Any, ...] = (
        (ignore,) if isinstance(ignore, str) or not isinstance(ignore, Iterable) else tuple(ignore)
    )
    if isinstance(ignore, str) or not all(isinstance(name, str) for name in names):
        raise DeclarationError(
            f"{where}: ignore= takes a list of parameter names, such as ignore=['request']."
        )
    return names


def vary_parts(vary: Any, where: str) -> tuple[Any, ...]:
    """The context variables and functions in `vary=`."""
    if isinstance(vary, ContextVar) or callable(vary):
        return (vary,)
    if isinstance(vary, (str, bytes)) or not isinstance(vary, Iterable):
        raise DeclarationError(
            f"{where}: vary= takes context variables and functions, not a {type(vary).__name__}."
        )
    parts = tuple(vary)
    for part in parts:
        if not (isinstance(part, ContextVar) or callable(part)):
            raise DeclarationError(
                f"{where}: vary= takes context variables and functions, not a {type(part).__name__}. "
                "A parameter is part of the key already."
            )
    return parts


def varied_names(parts: Sequence[Any], where: str) -> tuple[str, ...]:
    """The parameters that the functions in `vary=` read."""
    functions = [part for part in parts if not isinstance(part, ContextVar)]
    return tuple(name for part in functions for name in asked_names(part, "vary=", where))


def varied_values(
    parts: Sequence[Any], where: str, parameters: Parameters
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function of a call's values that gives what varies."""
    functions = [
        _current(part) if isinstance(part, ContextVar) else picker(part, "vary=", where, parameters.all_names)
        for part in parts
    ]
    return lambda values: tuple(function(values) for function in functions)


def _current(variable: ContextVar[Any]) -> Callable[[Sequence[Any]], Any]:
    def current(_: Sequence[Any]) -> Any:
        try:
            return variable.get()
        except LookupError:
            return Unset.UNSET

    return current


def _refuse_unkeyed(
    tags: Callable[..., Any], where: str, parameters: Parameters, varied: Sequence[str]
) -> None:
    """Calls that differ only in what is not part of the key share an entry, which has the tags of one of them."""
    known = {*parameters.in_key, *varied}
    for name in asked_names(tags, "tags=", where):
        if name in parameters.all_names and name not in known:
            raise DeclarationError(
                f"{where}: tags= asks for {name!r}, which is no part of the key: calls that differ in it share an "
                f"entry, and only one of them would name its tags. Leave {name!r} in the key, or read it in vary=."
            )


def tags_of(
    tags: Any,
    where: str,
    parameters: Parameters,
    tag_ids: Callable[[Any, str], object],
    varied: Sequence[str] = (),
) -> Callable[[Sequence[Any]], Sequence[Tag]] | None:
    """`tags=` as a function of a call's values; None without any. tag_ids: refuses what is no tag of this cache."""
    if isinstance(tags, TagFamily):
        raise DeclarationError(
            f"{where}: tags={tags!r} is a kind of tag; write tags=lambda id: [{tags.name}(id)]."
        )
    if callable(tags):
        _refuse_unkeyed(tags, where, parameters, varied)
        return picker(tags, "tags=", where, parameters.all_names)
    several = isinstance(tags, Iterable) and not isinstance(tags, (str, bytes))
    fixed: Any = () if tags is None else tuple(tags) if several else tags
    try:
        tag_ids(fixed, f"{where}: tags=")
    except UsageError as error:
        raise DeclarationError(str(error)) from None
    return (lambda values: fixed) if fixed else None


def value_tags_of(function: Any, where: str) -> Callable[[Sequence[Any], Any], Sequence[Tag]] | None:
    """`value_tags=` as a function of a call's values, which it does not read, and of the value."""
    if function is None:
        return None
    if isinstance(function, TagFamily):
        raise DeclarationError(
            f"{where}: value_tags={function!r} is a kind of tag; write value_tags=lambda value: "
            f"[{function.name}(value.id)]."
        )
    if not callable(function):
        raise DeclarationError(
            f"{where}: value_tags= takes a function of the value, not a {type(function).__name__}."
        )
    return picker(function, "value_tags=", where, (), skip=1)
