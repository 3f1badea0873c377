"""Batch loaders: one load for many keys, and what their answers mean.

A batch loader receives the arguments of the missed keys as a list, each once, in the order they were asked for: the
argument itself for an endpoint of one parameter, a tuple for one of several. It returns either

- a mapping from argument to value, in which a missing key means "no such row"; or
- a sequence as long as the list, in its order.

A value that is an exception fails its own key and no other. An exception that the loader raises fails all its keys.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cacheaside.errors import DeclarationError, MissingFromBatch, UsageError
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Failure

if TYPE_CHECKING:
    from cacheaside.endpoint.endpoint import Endpoint

__all__ = ["BATCH_KEYS_MAX", "batch_results"]

BATCH_KEYS_MAX: Final = 1000
"""Keys in one load, unless the endpoint says otherwise: databases bound the parameters of a statement."""


def batch_results(endpoint: Endpoint, function: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """A function of (resource, calls) that gives one result per call through the batch loader `function`."""
    _check(endpoint, function, is_async)
    parameters = endpoint.parameters
    first = 1 if parameters.has_self else 0
    single = len(parameters.names) == 1

    def arguments(resource: Any, calls: Sequence[Call]) -> list[Any]:
        leading = [calls[0].values[0]] if parameters.has_self else []
        leading += [resource] if parameters.has_resource else []
        return [*leading, [_argument(call, first, single) for call in calls]]

    def results(answer: Any, calls: Sequence[Call]) -> list[Any]:
        return _results(endpoint, answer, calls, [_argument(call, first, single) for call in calls])

    if is_async:

        async def load(resource: Any, calls: Sequence[Call]) -> list[Any]:
            return results(await function(*arguments(resource, calls)), calls)

        return load
    return lambda resource, calls: results(function(*arguments(resource, calls)), calls)


def _check(endpoint: Endpoint, function: Callable[..., Any], is_async: bool) -> None:
    where = f"{endpoint.name}: its batch loader"
    if inspect.iscoroutinefunction(function) is not is_async:
        raise DeclarationError(
            f"{where} must be {'an `async def`' if is_async else 'a `def`'}, as the endpoint is."
        )
    parameters = endpoint.parameters
    wanted = 1 + parameters.has_self + parameters.has_resource
    try:
        inspect.signature(function).bind(*range(wanted))
    except (TypeError, ValueError):
        shape = ", ".join(["self"] * parameters.has_self + ["resource"] * parameters.has_resource + ["keys"])
        raise DeclarationError(f"{where} must take ({shape}).") from None


def _argument(call: Call, first: int, single: bool) -> Any:
    return call.values[first] if single else call.values[first:]


def _results(endpoint: Endpoint, answer: Any, calls: Sequence[Call], arguments: Sequence[Any]) -> list[Any]:
    if isinstance(answer, Mapping):
        values = _by_argument(endpoint, answer, arguments)
    elif isinstance(answer, Sequence) and not isinstance(answer, (str, bytes)):
        if len(answer) != len(calls):
            raise UsageError(
                f"{endpoint.name}: its batch loader returned a list of {len(answer)} for {len(calls)} keys. "
                "Return one per key in order, or a mapping from key to value."
            )
        values = list(answer)
    else:
        raise UsageError(
            f"{endpoint.name}: its batch loader returned a {type(answer).__name__}; return a mapping from key to "
            "value, or a list in the order of the keys."
        )
    return [_result(endpoint, value, call) for value, call in zip(values, calls, strict=True)]


_MISSING: Any = object()


def _by_argument(endpoint: Endpoint, answer: Mapping[Any, Any], arguments: Sequence[Any]) -> list[Any]:
    try:
        return [answer.get(argument, _MISSING) for argument in arguments]
    except TypeError:
        raise UsageError(
            f"{endpoint.name}: its arguments cannot be keys of a mapping, which its batch loader returned; return a "
            "list in the order of the keys."
        ) from None


def _result(endpoint: Endpoint, value: Any, call: Call) -> Any:
    if isinstance(value, BaseException):
        return Failure(value)
    if value is not _MISSING:
        return value
    if endpoint.codec.allows_none:
        return None
    return Failure(
        MissingFromBatch(
            f"{call.key}: the batch loader returned nothing for it. Return a value for each key, or annotate "
            f"{endpoint.name} with `| None` if a row may be missing."
        )
    )
