"""Methods: `svc.product(42)` is fast, and `svc.product.lookup(42)` knows its instance.

Binding runs no Python code: the descriptor's `__get__` is a class made in C, which is called with (descriptor,
instance, owner) and keeps them; the generated function is its `__call__`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from types import new_class
from typing import Any

import msgspec

from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade
from cacheaside.errors import UsageError

__all__ = ["make_method"]


class _Bound(msgspec.Struct, eq=False):
    """An endpoint bound to an instance; one subclass per endpoint. Taken from the class itself, without an instance,
    it has the methods, which then take the instance first, as a function taken from a class does."""

    descriptor: Any
    instance: Any
    owner: Any

    def _first(self) -> tuple[Any, ...]:
        return () if self.instance is None else (self.instance,)

    def lookup(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.lookup(*self._first(), *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.explain(*self._first(), *args, **kwargs)

    def strong(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.strong(*self._first(), *args, **kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.invalidate(*self._first(), *args, **kwargs)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.refresh(*self._first(), *args, **kwargs)

    def purge(self, *args: Any, **kwargs: Any) -> Any:
        return self.descriptor.facade.purge(*self._first(), *args, **kwargs)

    def key(self, *args: Any, **kwargs: Any) -> str:
        key: str = self.descriptor.facade.key(*self._first(), *args, **kwargs)
        return key

    def many(self, keys: Iterable[Any], *, return_exceptions: bool = False) -> Any:
        facade = self.descriptor.facade
        return facade.many(keys, leading=self._instance(), return_exceptions=return_exceptions)

    def using(self, **changes: Any) -> Any:
        return self.descriptor.facade.using(**changes).bound_to(self._instance())

    def _instance(self) -> tuple[Any, ...]:
        if self.instance is None:
            raise UsageError(f"{self.descriptor.__qualname__} is a method: call it on an instance.")
        return (self.instance,)

    def __repr__(self) -> str:
        return f"<{self.descriptor.__qualname__} of a {type(self.instance).__name__}>"


class _Method:
    """The class attribute. Not a data descriptor: tests may put something else on an instance or the class."""

    __get__: Any

    def __init__(self, hit: Callable[..., Any], facade: AsyncFacade | BlockingFacade) -> None:
        self.facade = facade
        self.endpoint = facade.endpoint
        self.batch = facade.batch
        self.__name__ = hit.__name__
        self.__qualname__ = hit.__qualname__
        self.__doc__ = hit.__doc__
        self.__wrapped__ = hit.__wrapped__  # type: ignore[attr-defined]


def make_method(hit: Any, facade: AsyncFacade | BlockingFacade) -> Any:
    """A descriptor whose bound form calls `hit` and has the methods of `facade`."""
    body: dict[str, Any] = {
        "__call__": hit,
        "__doc__": hit.__doc__,
        "__module__": hit.__module__,
        "__name__": hit.__name__,
        "__code__": hit.__code__,
        "__defaults__": hit.__defaults__,
        "__kwdefaults__": hit.__kwdefaults__,
        "__signature__": inspect.signature(hit),
        "batch": property(lambda bound: facade.batch),
        "endpoint": property(lambda bound: facade.endpoint),
    }
    if isinstance(facade, AsyncFacade):
        # What asyncio and inspect look for to tell an `async def`, as inspect.markcoroutinefunction sets it; before it
        # existed (Python 3.12), inspect asked what looks like a function for its code.
        body["_is_coroutine"] = getattr(asyncio.coroutines, "_is_coroutine", None)
        body["_is_coroutine_mark"] = getattr(inspect, "_is_coroutine_mark", None)
    bound = new_class(hit.__name__, (_Bound,), exec_body=lambda names: names.update(body))
    method = type("_Method", (_Method,), {"__get__": bound})
    return method(hit, facade)
