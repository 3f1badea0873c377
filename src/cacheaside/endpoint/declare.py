"""From a function and what was declared to what users call: checks first, then the generated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from cacheaside.contract import Contract
from cacheaside.endpoint.asking import asked_names, picker
from cacheaside.endpoint.bound import make_method
from cacheaside.endpoint.endpoint import PLAIN_ANY, Declared, Endpoint
from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade, Host
from cacheaside.endpoint.generated import binder, caller, hit_path
from cacheaside.endpoint.parameters import UNRESOLVED, Parameters, parameters_of, resolve
from cacheaside.errors import DeclarationError
from cacheaside.source.nest import scope
from cacheaside.source.source import Source
from cacheaside.tags import Tag, TagFamily
from cacheaside.types import TagId
from cacheaside.values import Codec, Sharing, codec_for

__all__ = ["Declaration", "Registrar", "declare"]

Tags = Callable[..., Iterable[Tag]] | Iterable[Tag]


class Registrar(Host):
    """The cache, as declarations see it."""

    namespace: str
    everything: TagId
    default_source: Source[Any]

    @property
    def world(self) -> dict[str, Any]:
        """What generated code shares: the clock and the gate."""
        raise AssertionError

    def strict(self) -> bool:
        """Whether a value that cannot be stored is an error (under testing)."""
        raise AssertionError

    def register(self, endpoint: Endpoint, world: dict[str, Any]) -> None:
        """Take in an endpoint and the globals of its generated code."""
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Declaration:
    """The arguments of `@cache.read`."""

    name: str
    contract: Contract
    source: Source[Any] | None
    tags: Tags
    value_tags: Callable[..., Iterable[Tag]] | None
    vary: Callable[..., Any] | Sequence[Any]
    ignore: Sequence[str]
    version: int | str
    max_tags: int


def declare(function: Callable[..., Any], d: Declaration, host: Registrar, names: Mapping[str, Any]) -> Any:
    """The cached `function`. `names` are the local names at the decoration, for annotations."""
    where = _where(function, d)
    _check_function(function, d, where)
    vary, varied_names, varied = _vary(d.vary, where)
    ignore = _ignored(d.ignore, where)
    parameters = parameters_of(
        function,
        where=where,
        has_source=d.source is not None,
        ignore=ignore,
        varied=varied_names,
        names=names,
    )
    declared = Declared(
        d.name,
        d.contract,
        d.version,
        _tags(d.tags, where, parameters),
        _value_tags(d.value_tags, where),
        None if vary is None else _varied_values(vary, where, parameters),
        d.max_tags,
    )
    codec = _codec(function, where, names)
    endpoint = Endpoint(
        declared,
        parameters,
        codec,
        d.source or host.default_source,
        caller(parameters, function, function.__name__),
        namespace=host.namespace,
        everything=host.everything,
        strict=host.strict,
    )
    return _assemble(function, endpoint, host, varied)


def _assemble(function: Callable[..., Any], endpoint: Endpoint, host: Registrar, varied: int) -> Any:
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
        "_take": endpoint.codec.copy if endpoint.codec.sharing is Sharing.COPY else endpoint.codec.decode,
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
    hit.__doc__ = function.__doc__
    hit.__module__ = function.__module__
    hit.__qualname__ = function.__qualname__
    hit.__signature__ = endpoint.parameters.signature  # type: ignore[attr-defined]
    hit.__wrapped__ = function  # type: ignore[attr-defined]
    host.register(endpoint, world)
    return make_method(hit, facade) if has_self else _with_methods(hit, facade)


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


def _where(function: Callable[..., Any], d: Declaration) -> str:
    return f"{d.name} ({getattr(function, '__qualname__', function)!s})"


def _check_function(function: Callable[..., Any], d: Declaration, where: str) -> None:
    if isinstance(function, (staticmethod, classmethod)):
        raise DeclarationError(f"{where}: put @{type(function).__name__} above @cache.read, not below it.")
    if not inspect.isfunction(function):
        raise DeclarationError(f"{where}: @cache.read decorates a function written with def or async def.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{where}: a generator is used up by its first reader; return a list or a tuple instead."
        )
    if d.source is not None and not isinstance(d.source, Source):
        raise DeclarationError(
            f"{where}: source= takes what cache.source(…) returned, not a {type(d.source).__name__}."
        )
    if not isinstance(d.contract, Contract):
        raise DeclarationError(f'{where}: the second argument is a Contract, such as Contract(ttl="60s").')
    if isinstance(d.version, bool) or not isinstance(d.version, (int, str)):
        raise DeclarationError(f"{where}: version= must be a number or a string.")
    if isinstance(d.max_tags, bool) or not isinstance(d.max_tags, int) or d.max_tags < 2:
        raise DeclarationError(f"{where}: max_tags= must be a whole number, at least 2.")


def _ignored(ignore: Sequence[str], where: str) -> tuple[str, ...]:
    if isinstance(ignore, str) or not all(isinstance(name, str) for name in ignore):
        raise DeclarationError(
            f"{where}: ignore= takes a list of parameter names, such as ignore=['request']."
        )
    return tuple(ignore)


def _vary(vary: Callable[..., Any] | Sequence[Any], where: str) -> tuple[Any, tuple[str, ...], int]:
    """The varying parts as functions, the parameters they read, and their number."""
    parts = [vary] if callable(vary) or isinstance(vary, ContextVar) else list(vary)
    if not parts:
        return None, (), 0
    names: list[str] = []
    for part in parts:
        if isinstance(part, ContextVar):
            continue
        if not callable(part):
            raise DeclarationError(
                f"{where}: vary= takes context variables and functions, not {type(part).__name__}."
            )
        names += asked_names(part, "vary=", where)
    return parts, tuple(names), len(parts)


def _varied_values(
    parts: Sequence[Any], where: str, parameters: Parameters
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    functions = [
        (lambda values, variable=part: variable.get(None))
        if isinstance(part, ContextVar)
        else picker(part, "vary=", where, parameters.all_names)
        for part in parts
    ]
    return lambda values: tuple(function(values) for function in functions)


def _tags(tags: Tags, where: str, parameters: Parameters) -> Callable[[Sequence[Any]], Sequence[Tag]] | None:
    if isinstance(tags, TagFamily):
        raise DeclarationError(
            f"{where}: tags={tags!r} is a kind of tag; write tags=lambda id: [{tags.name}(id)]."
        )
    if callable(tags):
        return picker(tags, "tags=", where, parameters.all_names)
    fixed = tuple(tags)
    if not fixed:
        return None
    if not all(isinstance(tag, Tag) for tag in fixed):
        raise DeclarationError(f"{where}: tags= takes a function of the parameters, or a list of tags.")
    return lambda values: fixed


def _value_tags(
    function: Callable[..., Iterable[Tag]] | None, where: str
) -> Callable[[Sequence[Any], Any], Sequence[Tag]] | None:
    if function is None:
        return None
    if not callable(function):
        raise DeclarationError(f"{where}: value_tags= takes a function of the value.")
    return picker(function, "value_tags=", where, (), skip=1)


def _codec(function: Callable[..., Any], where: str, names: Mapping[str, Any]) -> Codec:
    annotation = inspect.signature(function).return_annotation
    if annotation is inspect.Signature.empty:
        raise DeclarationError(
            f"{where}: annotate what it returns (-> ProductView): values are stored by that type."
        )
    resolved = resolve(function, annotation, names)
    if resolved is UNRESOLVED:
        raise DeclarationError(
            f"{where}: the return annotation {annotation!r} names something that is not there at run time. Import it "
            "outside of `if TYPE_CHECKING:`, and define it before the decorated function."
        )
    return codec_for(resolved, endpoint=where)
