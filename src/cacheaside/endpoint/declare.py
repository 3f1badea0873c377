"""From a function and what was declared to what users call: checks first, then the generated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from cacheaside.endpoint.bound import make_method
from cacheaside.endpoint.colours import Colour, colour_of_value, not_a_coroutine
from cacheaside.endpoint.endpoint import PLAIN_ANY, Declared, Endpoint
from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade
from cacheaside.endpoint.generated import binder, caller, hit_path
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.options import (
    Declaration,
    check_colour,
    check_function,
    check_name,
    check_options,
    ignored,
    tags_of,
    value_tags_of,
    varied_names,
    varied_values,
    vary_parts,
)
from cacheaside.endpoint.parameters import UNRESOLVED, Parameters, parameters_of, resolve
from cacheaside.errors import DeclarationError
from cacheaside.source.nest import scope
from cacheaside.stores.redis.plain import Else
from cacheaside.values import Codec, Sharing, codec_for

__all__ = ["declare"]


def declare(function: Any, d: Declaration, host: Host, names: Mapping[str, Any]) -> Any:
    """The cached `function`. `names` are the local names at the decoration, for annotations."""
    check_name(d)
    where = f"{d.name} ({getattr(function, '__qualname__', type(function).__name__)})"
    check_options(d, where, shared=host.shared is not None)
    check_function(function, where)
    is_async = inspect.iscoroutinefunction(function)
    if d.source is not None:
        check_colour(d.source, is_async, where)
    vary = vary_parts(d.vary, where)
    parameters = parameters_of(
        function,
        where=where,
        has_source=d.source is not None,
        ignore=ignored(d.ignore, where),
        varied=varied_names(vary, where),
        names=names,
    )
    tags = tags_of(d.tags, where, parameters, host.tag_ids, varied_names(vary, where))
    declared = Declared(
        d.name,
        d.contract,
        d.version,
        tags,
        value_tags_of(d.value_tags, where),
        varied_values(vary, where, parameters) if vary else None,
        d.max_tags,
        d.tags if callable(d.tags) else () if tags is None else tags(()),
        d.value_tags,
        vary,
        heat=d.heat,
    )
    loader = caller(parameters, function, function.__name__)
    endpoint = Endpoint(
        declared,
        parameters,
        _codec(function, where, names),
        d.source or host.default_source,
        loader if is_async else not_a_coroutine(loader, where),
        namespace=host.namespace,
        home=host.home,
        everything=host.everything,
        strict=host.is_strict,
        now=host.clock.now,
        is_async=is_async,
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
        "_host": host,
        "_endpoint": endpoint,
        "_key": endpoint.keying(),
        "_ask": host.quick[0 if is_async else 1] if host.quick else None,
        "_else": Else,
        "_further": facade.further,
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
        quick=host.quick is not None and endpoint.quick_for_s > 0,
        take="_e.value" if endpoint.codec.sharing is Sharing.SHARED else "_take(_e.value)",
        world=world,
    )
    _look_like(hit, function, endpoint.parameters)
    host.register(endpoint, world)
    facade.written = function
    host.facades[endpoint.name] = facade
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
        "explain",
    ):
        setattr(hit, name, getattr(facade, name))
    return hit


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
