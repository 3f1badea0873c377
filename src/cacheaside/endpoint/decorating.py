"""What `@cache.read(…)` does to a function's type.

Overloads are tried in order: what a type checker can show to return a coroutine is an `async def`, anything else a
`def`. The two overlap, since a `def` may return anything: hence the suppressions, one for each family of checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from cacheaside.endpoint.api import AsyncEndpoint, BlockingEndpoint

__all__ = ["WithSource", "WithoutSource"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
V = TypeVar("V")


class WithSource(Protocol[R_co]):
    """`@cache.read(…, source=db)`: the first parameter (after `self`) is the resource, and disappears."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[R_co, P], Coroutine[Any, Any, V]], /
    ) -> AsyncEndpoint[P, V]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, R_co, P], Coroutine[Any, Any, V]], /
    ) -> AsyncEndpoint[Concatenate[S, P], V]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[R_co, P], V], /) -> BlockingEndpoint[P, V]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, R_co, P], V], /
    ) -> BlockingEndpoint[Concatenate[S, P], V]: ...


class WithoutSource(Protocol):
    """`@cache.read(…)`: the signature stays as it is."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, V]], /
    ) -> AsyncEndpoint[P, V]: ...
    @overload
    def __call__(self, function: Callable[P, V], /) -> BlockingEndpoint[P, V]: ...
