"""Awaited or blocking: what can be told before the first load, and what only then."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, get_origin

from cacheaside.errors import DeclarationError, UsageError

__all__ = ["Colour", "check_opener", "colour_of_opener", "colour_of_value", "not_a_coroutine"]


class Colour(Enum):
    """How something is to be used."""

    ASYNC = "async"
    BLOCKING = "blocking"
    UNKNOWN = "unknown"


def colour_of_opener(opener: Any) -> Colour:
    """What `open=` of a source returns, as far as it tells: `contextlib` functions and classes do."""
    while isinstance(opener, functools.partial):
        opener = opener.func
    made_by = getattr(opener, "__wrapped__", opener)
    if inspect.isasyncgenfunction(made_by):
        return Colour.ASYNC
    if inspect.isgeneratorfunction(made_by):
        return Colour.BLOCKING
    if isinstance(opener, type):
        awaited, blocking = hasattr(opener, "__aenter__"), hasattr(opener, "__enter__")
        if awaited is not blocking:
            return Colour.ASYNC if awaited else Colour.BLOCKING
    return Colour.UNKNOWN


def check_opener(opener: Any, where: str) -> None:
    """A `DeclarationError` for an `open=` that cannot return a context manager."""
    if opener is None:
        raise DeclarationError(f"{where}: open= is missing: a function that returns a context manager.")
    if hasattr(opener, "__enter__") and not callable(opener):
        raise DeclarationError(
            f"{where}: open= is an open {type(opener).__name__}, which all loads would share. Give the function "
            "that opens one, such as a session factory."
        )
    if inspect.isasyncgenfunction(opener):
        raise DeclarationError(f"{where}: open= is an async generator: put @asynccontextmanager above it.")
    if inspect.isgeneratorfunction(opener):
        raise DeclarationError(f"{where}: open= is a generator: put @contextmanager above it.")
    if inspect.iscoroutinefunction(opener):
        raise DeclarationError(
            f"{where}: open= is an `async def`, which returns no context manager. Yield the resource in one under "
            "@asynccontextmanager, so that it is closed after each load."
        )


def colour_of_value(annotation: Any) -> Colour:
    """ASYNC for the annotation of something to await."""
    origin = get_origin(annotation) or annotation
    awaited = isinstance(origin, type) and issubclass(origin, Awaitable)
    return Colour.ASYNC if awaited else Colour.UNKNOWN


def not_a_coroutine(loader: Callable[..., Any], where: str) -> Callable[..., Any]:
    """`loader` of a `def` endpoint, which says so when it returns a coroutine: nobody would await it."""

    def load(resource: Any, values: Sequence[Any]) -> Any:
        result = loader(resource, values)
        if inspect.iscoroutine(result):
            result.close()
            raise UsageError(
                f"{where} is a `def`, but it returned a coroutine. Write `async def` and await inside, or have the "
                "decorator between keep it an `async def`."
            )
        return result

    return load
