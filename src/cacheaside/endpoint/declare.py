"""From a function and what was declared to what users call: checks first, then the generated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from cacheaside.contract import Contract
from cacheaside.endpoint.asking import asked_names, picker
from cacheaside.endpoint.bound import make_method
from cacheaside.endpoint.colours import Colour, colour_of_opener, colour_of_value, not_a_coroutine
from cacheaside.endpoint.endpoint import PLAIN_ANY, Declared, Endpoint, Unset
from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade
from cacheaside.endpoint.generated import binder, caller, hit_path
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.inline import NAME as INLINE
from cacheaside.endpoint.parameters import UNRESOLVED, Parameters, parameters_of, resolve
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.source.nest import scope
from cacheaside.source.source import Source
from cacheaside.tags import Tag, TagFamily, tag_ids
from cacheaside.values import Codec, Sharing, codec_for

__all__ = ["Declaration", "Tags", "Vary", "declare"]

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


def declare(function: Any, d: Declaration, host: Host, names: Mapping[str, Any]) -> Any:
    """The cached `function`. `names` are the local names at the decoration, for annotations."""
    _check_name(d)
    where = f"{d.name} ({getattr(function, '__qualname__', type(function).__name__)})"
    _check_options(d, where)
    _check_function(function, where)
    is_async = inspect.iscoroutinefunction(function)
    if d.source is not None:
        _check_colour(d.source, is_async, where)
    vary = _vary_parts(d.vary, where)
    parameters = parameters_of(
        function,
        where=where,
        has_source=d.source is not None,
        ignore=_ignored(d.ignore, where),
        varied=_varied_names(vary, where),
        names=names,
    )
    declared = Declared(
        d.name,
        d.contract,
        d.version,
        _tags(d.tags, where, parameters, host),
        _value_tags(d.value_tags, where),
        _varied_values(vary, where, parameters) if vary else None,
        d.max_tags,
    )
    loader = caller(parameters, function, function.__name__)
    endpoint = Endpoint(
        declared,
        parameters,
        _codec(function, where, names),
        d.source or host.default_source,
        loader if is_async else not_a_coroutine(loader, where),
        namespace=host.namespace,
        everything=host.everything,
        strict=host.is_strict,
    )
    return _assemble(function, endpoint, host, len(vary))


def _assemble(function: Callable[..., Any], endpoint: Endpoint, host: Host, varied: int) -> Any:
    is_async = inspect.iscoroutinefunction(function)
    bind = binder(endpoint.parameters, function.__name__)
    facade = (AsyncFacade if is_async else BlockingFacade)(endpoint, bind, host)
    world = dict(host.world)
    world |= {
        "_entries": endpoint.table.entries,
        "_scope": scope.get,
        "_slow": facade.slow,
        "_vary": endpoint.declared.vary,
        "_varied_plain": PLAIN_ANY,
        "_take": endpoint.codec.copy if endpoint.codec.sharing is Sharing.COPY else endpoint.codec.decode_own,
    }
    has_self = endpoint.parameters.has_self
    hit = hit_path(
        endpoint.parameters,
        name=function.__name__,
        is_async=is_async,
        bound=has_self,
        varied=varied,
        take="_e.value" if endpoint.codec.sharing is Sharing.SHARED else "_take(_e.value)",
        world=world,
    )
    _look_like(hit, function, endpoint.parameters)
    host.register(endpoint, world)
    return make_method(hit, facade) if has_self else _with_methods(hit, facade)


def _look_like(hit: Any, function: Any, parameters: Parameters) -> None:
    """What tools read off a function; the signature without the resource, its annotations resolved."""
    hit.__name__ = function.__name__
    hit.__qualname__ = function.__qualname__
    hit.__module__ = function.__module__
    hit.__doc__ = function.__doc__
    hit.__dict__.update(function.__dict__)
    hit.__wrapped__ = function
    hit.__signature__ = parameters.signature
    hit.__annotations__ = {
        p.name: p.annotation
        for p in parameters.signature.parameters.values()
        if p.annotation is not Parameter.empty
    } | {"return": parameters.signature.return_annotation}


def _with_methods(hit: Callable[..., Any], facade: AsyncFacade | BlockingFacade) -> Callable[..., Any]:
    for name in (
        "lookup",
        "strong",
        "many",
        "invalidate",
        "refresh",
        "purge",
        "key",
        "using",
        "batch",
        "endpoint",
    ):
        setattr(hit, name, getattr(facade, name))
    return hit


def _check_name(d: Declaration) -> None:
    name: Any = d.name
    if callable(name):
        raise DeclarationError(
            '@cache.read takes a name and a contract: @cache.read("product", Contract(ttl="60s")), then the function.'
        )
    if not isinstance(name, str) or not name:
        raise DeclarationError(f'An endpoint needs a name: @cache.read("product", …), not {name!r}.')
    if name.partition("/")[0] == INLINE:
        raise DeclarationError(f"{name!r} is the name of inline reads; call the endpoint something else.")


def _check_options(d: Declaration, where: str) -> None:
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
    if isinstance(max_tags, bool) or not isinstance(max_tags, int) or max_tags < 2:
        raise DeclarationError(f"{where}: max_tags= must be a whole number, at least 2.")


def _check_function(function: Any, where: str) -> None:
    if hasattr(function, "endpoint") and hasattr(function, "lookup"):
        raise DeclarationError(f"{where}: it is cached already; decorate the function once.")
    if isinstance(function, (staticmethod, classmethod)):
        raise DeclarationError(f"{where}: put @{type(function).__name__} above @cache.read, not below it.")
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


def _check_colour(source: Source[Any], is_async: bool, where: str) -> None:
    if not is_async and colour_of_opener(source.open) is Colour.ASYNC:
        raise DeclarationError(
            f"{where} is a `def`, but source {source.name!r} opens an async resource. Write `async def`, or declare "
            "a source whose open= returns a plain context manager."
        )


def _ignored(ignore: Any, where: str) -> tuple[str, ...]:
    names: tuple[Any, ...] = (
        (ignore,) if isinstance(ignore, str) or not isinstance(ignore, Iterable) else tuple(ignore)
    )
    if isinstance(ignore, str) or not all(isinstance(name, str) for name in names):
        raise DeclarationError(
            f"{where}: ignore= takes a list of parameter names, such as ignore=['request']."
        )
    return names


def _vary_parts(vary: Any, where: str) -> tuple[Any, ...]:
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


def _varied_names(parts: Sequence[Any], where: str) -> tuple[str, ...]:
    functions = [part for part in parts if not isinstance(part, ContextVar)]
    return tuple(name for part in functions for name in asked_names(part, "vary=", where))


def _varied_values(
    parts: Sequence[Any], where: str, parameters: Parameters
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
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


def _tags(
    tags: Any, where: str, parameters: Parameters, host: Host
) -> Callable[[Sequence[Any]], Sequence[Tag]] | None:
    if isinstance(tags, TagFamily):
        raise DeclarationError(
            f"{where}: tags={tags!r} is a kind of tag; write tags=lambda id: [{tags.name}(id)]."
        )
    if callable(tags):
        return picker(tags, "tags=", where, parameters.all_names)
    several = isinstance(tags, Iterable) and not isinstance(tags, (str, bytes))
    fixed: Any = () if tags is None else tuple(tags) if several else tags
    try:
        tag_ids(fixed, namespace=host.namespace, where=f"{where}: tags=")
    except UsageError as error:
        raise DeclarationError(str(error)) from None
    return (lambda values: fixed) if fixed else None


def _value_tags(function: Any, where: str) -> Callable[[Sequence[Any], Any], Sequence[Tag]] | None:
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


def _codec(function: Callable[..., Any], where: str, names: Mapping[str, Any]) -> Codec:
    annotation = inspect.signature(function).return_annotation
    resolved = resolve(function, annotation, names)
    if resolved is UNRESOLVED:
        raise DeclarationError(
            f"{where}: the return annotation {annotation!r} names something that is not there at run time. Import it "
            "outside of `if TYPE_CHECKING:`, and define it before the decorated function."
        )
    if colour_of_value(resolved) is Colour.ASYNC:
        raise DeclarationError(
            f"{where}: it returns something to await. Write `async def`, with the value itself as the annotation."
        )
    return codec_for(resolved, endpoint=where)
