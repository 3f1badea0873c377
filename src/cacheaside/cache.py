"""`Cache`: where endpoints, sources and tags are declared, and writes are told."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Protocol, Self, TypeVar, cast, overload

from cacheaside.contract import Contract
from cacheaside.durations import Duration, Size, byte_count, seconds
from cacheaside.endpoint.api import AsyncEndpoint, BlockingEndpoint
from cacheaside.endpoint.changing import Changing
from cacheaside.endpoint.declare import Declaration, Registrar, Tags, declare
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.inline import Inline
from cacheaside.errors import DeclarationError
from cacheaside.flow import write as writing
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Ports
from cacheaside.observe.stats import CacheStats, endpoint_stats
from cacheaside.runtime.aio import AsyncCrew
from cacheaside.runtime.blocking import BlockingCrew, run_blocking
from cacheaside.runtime.clock import SystemClock
from cacheaside.source.loads import AsyncLoads, BlockingLoads
from cacheaside.source.source import Source
from cacheaside.stores.embedded import EmbeddedHeard, EmbeddedTier
from cacheaside.stores.l1.gate import Gate
from cacheaside.stores.l1.store import L1
from cacheaside.tags import Tag, TagFamily, tag_ids
from cacheaside.types import TagId

__all__ = ["Blocking", "Cache"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

DEFAULT_TAGS_MAX: Final = 64

_caches: weakref.WeakSet[Cache] = weakref.WeakSet()


class Cache(Registrar):
    """A cache in front of a source of truth. `Cache()` alone keeps everything in this process.

    One per service, made at import; it opens nothing and starts nothing. Thread-safe, and usable from any number of
    event loops at once. After a fork the child goes on with what was held; what the parent invalidates later it does
    not hear.

    namespace: first part of every key and tag. l1_entries, l1_bytes: bounds of what this process holds, the latter in
    bytes of encoded payload. load_timeout: for endpoints without a source. commit_timeout: longer than any commit may
    take; how long a write whose outcome is unknown keeps its tags from being stored.
    """

    def __init__(
        self,
        *,
        namespace: str = "app",
        l1_entries: int = 100_000,
        l1_bytes: Size = "256MiB",
        load_timeout: Duration = "30s",
        commit_timeout: Duration = "30s",
    ) -> None:
        if not isinstance(namespace, str) or not namespace:
            raise DeclarationError(f"namespace={namespace!r} must be a name, such as the service's.")
        if isinstance(l1_entries, bool) or not isinstance(l1_entries, int) or l1_entries < 1:
            raise DeclarationError(
                f"l1_entries={l1_entries!r} must be a whole number of entries, at least 1."
            )
        self.namespace = namespace
        self.everything = TagId(TagFamily[[]](namespace, "*", ())().id)
        self.default_source: Source[Any] = Source("inline", None, limit=1024, timeout=load_timeout)
        self._clock = SystemClock()
        self._gate = Gate()
        self._endpoints: dict[str, Endpoint] = {}
        self._worlds: list[dict[str, Any]] = []
        self._sources: dict[str, Source[Any]] = {}
        self._strict = False
        self._enabled = True
        self._lock = threading.RLock()
        self._l1 = L1(
            self._clock,
            entries_max=l1_entries,
            bytes_max=byte_count(l1_bytes, name="l1_bytes"),
            everything=self.everything,
        )
        self._assemble(seconds(commit_timeout, name="commit_timeout"))
        self.blocking = Blocking(self)
        self._inline = Inline(self)
        _caches.add(self)

    def _assemble(self, mark_lifetime_s: float) -> None:
        self._async_flights = Flights(threading.Lock())
        self._blocking_flights = Flights(threading.Lock())
        self._async_crew = AsyncCrew(self._async_flights)
        self._blocking_crew = BlockingCrew(self._blocking_flights, self._clock)
        self._tier = EmbeddedTier(self._l1, self._clock)
        both = (self._async_flights, self._blocking_flights)
        heard = EmbeddedHeard(self._l1, self._tier, self._clock, both)
        self._ports = Ports(
            clock=self._clock,
            near=self._l1,
            heard=heard,
            tier=self._tier,
            loads=AsyncLoads(),
            flights=self._async_flights,
            crew=self._async_crew,
            shared=False,
            mark_lifetime_s=mark_lifetime_s,
        )
        self._blocking_ports = Ports(
            clock=self._clock,
            near=self._l1,
            heard=heard,
            tier=self._tier,
            loads=BlockingLoads(),
            flights=self._blocking_flights,
            crew=self._blocking_crew,
            shared=False,
            mark_lifetime_s=mark_lifetime_s,
        )

    # Declaring.

    @overload
    def source(
        self,
        name: str,
        *,
        open: Callable[[], AbstractAsyncContextManager[R]],
        limit: int = 64,
        timeout: Duration = "30s",
    ) -> Source[R]: ...
    @overload
    def source(
        self,
        name: str,
        *,
        open: Callable[[], AbstractContextManager[R]],
        limit: int = 64,
        timeout: Duration = "30s",
    ) -> Source[R]: ...
    def source(
        self, name: str, *, open: Callable[[], Any], limit: int = 64, timeout: Duration = "30s"
    ) -> Source[Any]:
        """A source of truth. `open()` gives a context manager around a fresh resource for each load.

        limit: loads at once, in this process. timeout: for one load, its wait for a turn included.
        """
        with self._lock:
            if name in self._sources:
                raise DeclarationError(f"source {name!r} is declared already in cache {self.namespace!r}.")
            if open is None:
                raise DeclarationError(f"source {name!r}: open= is missing.")
            made: Source[Any] = Source(name, open, limit=limit, timeout=timeout)
            self._sources[name] = made
            return made

    @overload
    def tag(self, name: str) -> TagFamily[[]]: ...
    @overload
    def tag(self, name: str, first: type[A], /) -> TagFamily[[A]]: ...
    @overload
    def tag(self, name: str, first: type[A], second: type[B], /) -> TagFamily[[A, B]]: ...
    @overload
    def tag(self, name: str, first: type[A], second: type[B], third: type[C], /) -> TagFamily[[A, B, C]]: ...
    def tag(self, name: str, *types: type[Any]) -> TagFamily[Any]:
        """A kind of tag with the types of its parts: `products = cache.tag("products", int)`."""
        return TagFamily(self.namespace, name, types)

    @overload
    def read(
        self,
        name: str,
        contract: Contract,
        *,
        source: Source[R],
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Callable[..., Any] | Sequence[Any] = (),
        ignore: Sequence[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
    ) -> _WithSource[R]: ...
    @overload
    def read(
        self,
        name: str,
        contract: Contract,
        *,
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Callable[..., Any] | Sequence[Any] = (),
        ignore: Sequence[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
    ) -> _WithoutSource: ...
    def read(
        self,
        name: str,
        contract: Contract,
        *,
        source: Source[Any] | None = None,
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Callable[..., Any] | Sequence[Any] = (),
        ignore: Sequence[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
    ) -> Any:
        """Cache a function or method, `async def` or `def`, under `contract`.

        Every parameter is part of the key, with defaults bound, except the source's resource (the first, when
        `source` is given) and those named in `ignore`.

        tags: what the value is computed from, as far as the arguments tell: a function that asks for parameters by
        name, or a list. value_tags: as far as the value tells. vary: context variables and functions of the
        parameters, for what the value depends on besides. version: raise it when the loader computes something else.
        max_tags: an entry with more is not stored.
        """
        declaration = Declaration(name, contract, source, tags, value_tags, vary, ignore, version, max_tags)
        names = _names_at(sys._getframe(1))
        return lambda function: declare(function, declaration, self, names)

    # Writing.

    async def invalidate(self, *tags: Tag) -> None:
        """What was computed from `tags` is out of date. Call it after the commit.

        When it returns, no read that starts later returns a value older than that commit.
        """
        flow = writing.invalidate(self._tag_ids(tags), self._ports)
        await (self._ports.crew.surely(flow) if self._ports.shared else flow)

    async def invalidate_all(self) -> None:
        """Everything in this namespace is out of date."""
        await self.invalidate(self._everything_tag())

    def changing(self, *tags: Tag) -> Changing:
        """The bracket around a write: commit inside, with `async with` or `with`.

        Safer than `invalidate` after the commit: a process that dies in between leaves nothing stale.
        """
        return Changing(tags, self._tag_ids, self._ports, self._blocking_ports)

    def _everything_tag(self) -> Tag:
        return Tag(self.everything, self.namespace)

    def _tag_ids(self, tags: tuple[Tag, ...]) -> tuple[TagId, ...]:
        return tag_ids(tags, namespace=self.namespace, where="this call")

    # Reading without a decorator.

    async def get_or_load(
        self,
        key: Any,
        loader: Callable[[], Awaitable[V] | V],
        contract: Contract,
        *,
        type: Any = Any,
        tags: Sequence[Tag] = (),
    ) -> V:
        """What `loader` returns, cached under `key`, any value or tuple of values that can be part of a key.

        type: what the value is; without it, only values made of plain parts can be stored (numbers, strings, lists,
        dicts). One key belongs to one contract and type.
        """
        return cast(V, await self._inline.read(key, loader, contract, type, tags))

    # Seeing.

    def stats(self) -> CacheStats:
        """What happened so far, per endpoint, as integers."""
        with self._lock:
            endpoints = list(self._endpoints.values())
        return CacheStats(
            self.namespace,
            len(self._l1),
            self._l1.bytes_used,
            {
                e.name: endpoint_stats(
                    e.name, e.tally, entries=len(e.table.entries), entry_hits=self._l1.hits(e.table)
                )
                for e in endpoints
            },
        )

    # Switching.

    @property
    def enabled(self) -> bool:
        """False while every read goes to the source."""
        return self._enabled

    def disable(self) -> None:
        """Send every read to the source; nothing is served, stored or shared until `enable`."""
        self._enabled = False
        self._gate.until = 0.0

    def enable(self) -> None:
        """Serve again. What was held meanwhile may have missed no invalidation: those are heard while disabled."""
        self._enabled = True
        self._gate.until = Gate.OPEN

    def clear(self) -> None:
        """Drop all that this process holds; loads under way are not kept. For tests; in service, `invalidate_all`."""
        run_blocking(writing.invalidate((self.everything,), self._blocking_ports))

    async def aclose(self) -> None:
        """End what this cache does behind its callers on this event loop, and its threads. Reads still work."""
        await self._async_crew.aclose()
        self._blocking_crew.close()

    def close(self) -> None:
        """End the threads that refresh behind callers. Reads still work."""
        self._blocking_crew.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Cache {self.namespace} entries={len(self._l1)} endpoints={len(self._endpoints)}>"

    # What declarations and endpoints ask of their cache.

    @property
    def ports(self) -> Ports:
        return self._ports

    @property
    def blocking_ports(self) -> Ports:
        return self._blocking_ports

    @property
    def world(self) -> dict[str, Any]:
        return {"_now": self._clock.now, "_gate": self._gate}

    def strict(self) -> bool:
        return self._strict

    def register(self, endpoint: Endpoint, world: dict[str, Any]) -> None:
        with self._lock:
            if endpoint.name in self._endpoints:
                raise DeclarationError(
                    f"endpoint {endpoint.name!r} is declared already in cache {self.namespace!r}: "
                    "its name is the first part of its keys, so two would share entries."
                )
            self._endpoints[endpoint.name] = endpoint
            self._worlds.append(world)
            self._l1.add_table(endpoint.table)

    # Under testing.

    def _use_clock(self, now: Callable[[], float]) -> None:
        self._clock.now = now
        for world in self._worlds:
            world["_now"] = now

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._l1.after_fork()
        for flights in (self._async_flights, self._blocking_flights):
            flights.forget(threading.Lock())
        self._async_crew.forget()
        self._blocking_crew.forget()
        self._tier.forget_writers()
        for source in (*self._sources.values(), self.default_source):
            source.limit.forget()


class Blocking:
    """The same for sync code: `cache.blocking.invalidate(products(42))`."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def invalidate(self, *tags: Tag) -> None:
        """As `Cache.invalidate`."""
        run_blocking(writing.invalidate(self._cache._tag_ids(tags), self._cache._blocking_ports))

    def invalidate_all(self) -> None:
        """As `Cache.invalidate_all`."""
        self.invalidate(self._cache._everything_tag())

    def get_or_load(
        self,
        key: Any,
        loader: Callable[[], V],
        contract: Contract,
        *,
        type: Any = Any,
        tags: Sequence[Tag] = (),
    ) -> V:
        """As `Cache.get_or_load`, with a plain function."""
        return cast(V, self._cache._inline.read_blocking(key, loader, contract, type, tags))


class _WithSource(Protocol[R]):
    """`@cache.read(…, source=db)`: the first parameter (after `self`) is the resource, and disappears."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[R, P], Coroutine[Any, Any, V]], /
    ) -> AsyncEndpoint[P, V]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, R, P], Coroutine[Any, Any, V]], /
    ) -> AsyncEndpoint[Concatenate[S, P], V]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[R, P], V], /) -> BlockingEndpoint[P, V]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, R, P], V], /
    ) -> BlockingEndpoint[Concatenate[S, P], V]: ...


class _WithoutSource(Protocol):
    """`@cache.read(…)`: the signature stays as it is."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, V]], /) -> AsyncEndpoint[P, V]: ...
    @overload
    def __call__(self, function: Callable[P, V], /) -> BlockingEndpoint[P, V]: ...


def _names_at(frame: Any) -> Mapping[str, Any]:
    """The local names where a decorator is written, for annotations of classes defined in a function."""
    return dict(frame.f_locals) if frame.f_code.co_name != "<module>" else {}


def _after_fork_in_child() -> None:
    for cache in list(_caches):
        cache._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
