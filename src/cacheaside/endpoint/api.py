"""The types users see: what a decorated function is to a type checker.

At run time a decorated function is the generated function itself, with these methods as attributes; a decorated
method is a descriptor that binds them to the instance. `__get__` says so to type checkers: its last overload is for a
`@staticmethod` above the decorator, which binds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from cacheaside.contract import Consistency, OnOverload, Priority
from cacheaside.durations import Duration, Size
from cacheaside.lookup import Lookup
from cacheaside.observe.explanation import Explanation

__all__ = ["AsyncEndpoint", "AsyncUsing", "BlockingEndpoint", "BlockingUsing", "Changes"]

P = ParamSpec("P")
Q = ParamSpec("Q")
V = TypeVar("V")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])


class Changes(TypedDict, total=False):
    """Options of a `Contract` that one call may change."""

    ttl: Duration
    grace: Duration
    absent_ttl: Duration
    stale_after_invalidation: Duration
    consistency: Consistency
    jitter: float
    early_refresh: float
    max_bytes: Size | None
    store: bool | Callable[[Any], bool]
    error_ttl: Mapping[type[Exception], Duration]
    priority: Priority
    weight: int
    on_overload: OnOverload


class AsyncUsing(Protocol, Generic[P, V]):
    """An `async def` endpoint with some options of its contract changed."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value, under the changed contract."""
        ...

    async def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup[V]:
        """The value and its circumstances, under the changed contract."""
        ...


class AsyncEndpoint(Protocol, Generic[P, V]):
    """A cached `async def`. Awaiting it gives a hit, or one load however many ask."""

    __name__: str

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value, within the contract; or the loader's own exception."""
        ...

    async def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup[V]:
        """The value with its circumstances: how it was served, its age, the bound that applied. A read like any other:
        on a miss it loads."""
        ...

    async def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """What stands behind these arguments: where it is, how old, which tag put it out of date, who loads it, and
        what the next read would do. Nothing is read, counted, loaded or changed by it."""
        ...

    async def strong(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value from the source, by a load of this caller's own, which is stored for the next reader."""
        ...

    def using(self, **changes: Unpack[Changes]) -> AsyncUsing[P, V]:
        """The same endpoint with options of its contract changed: `product.using(grace=0)(42)`. For these calls alone,
        which may be served older values than the contract allows others (`ttl="1h"`)."""
        ...

    @overload
    async def many(self, keys: Iterable[Any], *, return_exceptions: Literal[False] = False) -> list[V]:
        """The values of many keys, in their order; a key given twice is read once.

        Each key is the argument itself where there is one parameter, else a tuple or a mapping of arguments. Misses are
        loaded in one load through the batch loader, where there is one. A key that fails fails alone: the first such
        exception is raised when all keys are answered, or stands in its place with `return_exceptions=True`.
        """
        ...

    @overload
    async def many(self, keys: Iterable[Any], *, return_exceptions: bool) -> list[V | BaseException]: ...

    @overload
    def batch(self, *, keys_max: int) -> Callable[[F], F]: ...
    @overload
    def batch(self, loader: F, /) -> F:
        """Declare the loader of many keys at once, `async def` or `def` as the endpoint is.

        It receives what the endpoint receives before its arguments (`self`, the resource), then a list of keys, each
        once: the argument itself where there is one parameter, else a tuple. It returns a mapping from key to value, in
        which a missing key is an absent row, or a list in the order of the keys. A value that is an exception fails its
        own key. keys_max: keys in one load, 1,000 unless `@f.batch(keys_max=200)` says otherwise; more go in several.
        """
        ...

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """What is cached for these arguments is out of date: no read that starts later returns it.

        A value of another class than its parameter declares (`"42"` where `int` is) is a `UsageError`: it would name
        another key. So it is for `refresh`, `purge` and `key`.
        """
        ...

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Load and store these arguments now; what the loader raises is raised here."""
        ...

    async def purge(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Invalidate, and remove the value itself."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The canonical key of these arguments."""
        ...

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> AsyncEndpoint[P, V]: ...
    @overload
    def __get__(
        self: AsyncEndpoint[Concatenate[S, Q], V], instance: S, owner: type[Any] | None = None, /
    ) -> AsyncEndpoint[Q, V]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None, /) -> AsyncEndpoint[P, V]: ...


class BlockingUsing(Protocol, Generic[P, V]):
    """A `def` endpoint with some options of its contract changed."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value, under the changed contract."""
        ...

    def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup[V]:
        """The value and its circumstances, under the changed contract."""
        ...


class BlockingEndpoint(Protocol, Generic[P, V]):
    """A cached `def`. Calling it gives a hit, or one load however many threads ask."""

    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value, within the contract; or the loader's own exception."""
        ...

    def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup[V]:
        """The value with its circumstances: how it was served, its age, the bound that applied. A read like any other:
        on a miss it loads."""
        ...

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """What stands behind these arguments: where it is, how old, which tag put it out of date, who loads it, and
        what the next read would do. Nothing is read, counted, loaded or changed by it."""
        ...

    def strong(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """The value from the source, by a load of this caller's own, which is stored for the next reader."""
        ...

    def using(self, **changes: Unpack[Changes]) -> BlockingUsing[P, V]:
        """The same endpoint with options of its contract changed: `product.using(grace=0)(42)`. For these calls alone,
        which may be served older values than the contract allows others (`ttl="1h"`)."""
        ...

    @overload
    def many(self, keys: Iterable[Any], *, return_exceptions: Literal[False] = False) -> list[V]:
        """The values of many keys, in their order; a key given twice is read once.

        Each key is the argument itself where there is one parameter, else a tuple or a mapping of arguments. Misses are
        loaded in one load through the batch loader, where there is one. A key that fails fails alone: the first such
        exception is raised when all keys are answered, or stands in its place with `return_exceptions=True`.
        """
        ...

    @overload
    def many(self, keys: Iterable[Any], *, return_exceptions: bool) -> list[V | BaseException]: ...

    @overload
    def batch(self, *, keys_max: int) -> Callable[[F], F]: ...
    @overload
    def batch(self, loader: F, /) -> F:
        """Declare the loader of many keys at once, `async def` or `def` as the endpoint is.

        It receives what the endpoint receives before its arguments (`self`, the resource), then a list of keys, each
        once: the argument itself where there is one parameter, else a tuple. It returns a mapping from key to value, in
        which a missing key is an absent row, or a list in the order of the keys. A value that is an exception fails its
        own key. keys_max: keys in one load, 1,000 unless `@f.batch(keys_max=200)` says otherwise; more go in several.
        """
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """What is cached for these arguments is out of date: no read that starts later returns it.

        A value of another class than its parameter declares (`"42"` where `int` is) is a `UsageError`: it would name
        another key. So it is for `refresh`, `purge` and `key`.
        """
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Load and store these arguments now; what the loader raises is raised here."""
        ...

    def purge(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Invalidate, and remove the value itself."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The canonical key of these arguments."""
        ...

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> BlockingEndpoint[P, V]: ...
    @overload
    def __get__(
        self: BlockingEndpoint[Concatenate[S, Q], V], instance: S, owner: type[Any] | None = None, /
    ) -> BlockingEndpoint[Q, V]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None, /) -> BlockingEndpoint[P, V]: ...
