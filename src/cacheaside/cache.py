"""`Cache`: where endpoints, sources and tags are declared, and writes are told."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar, cast, overload

from cacheaside.contract import Contract
from cacheaside.durations import Duration, Size, byte_count, seconds
from cacheaside.endpoint.changing import Changing
from cacheaside.endpoint.colours import check_opener
from cacheaside.endpoint.declare import declare
from cacheaside.endpoint.decorating import WithoutSource, WithSource
from cacheaside.endpoint.host import EVERYTHING, Host
from cacheaside.endpoint.inline import Inline
from cacheaside.endpoint.options import Declaration, Tags, Vary, unknown_options
from cacheaside.errors import DeclarationError
from cacheaside.flow import write as writing
from cacheaside.observe.stats import CacheStats, endpoint_stats
from cacheaside.runtime.blocking import run_blocking
from cacheaside.source.source import Source
from cacheaside.tags import Home, Tag, TagFamily

__all__ = ["Blocking", "Cache"]

R = TypeVar("R")
V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

log = logging.getLogger("cacheaside")

DEFAULT_TAGS_MAX: Final = 64


class Cache:
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
        self._host = Host(
            _namespace(namespace),
            home=Home(_made_in(inspect.currentframe())),
            entries_max=_entries(l1_entries),
            bytes_max=byte_count(l1_bytes, name="l1_bytes"),
            load_timeout=load_timeout,
            mark_lifetime_s=seconds(commit_timeout, name="commit_timeout"),
        )
        self._inline = Inline(self._host)
        self.blocking = Blocking(self._host, self._inline)

    @property
    def namespace(self) -> str:
        """First part of every key and tag."""
        return self._host.namespace

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
        check_opener(open, f"source {name!r}")
        made: Source[Any] = Source(name, open, limit=limit, timeout=timeout)
        with self._host.lock:
            if name in self._host.sources:
                raise DeclarationError(f"source {name!r} is declared already in cache {self.namespace!r}.")
            self._host.sources[name] = made
        return made

    @overload
    def tag(self, name: str) -> TagFamily[[]]: ...
    @overload
    def tag(self, name: str, first: type[A], /) -> TagFamily[[A]]: ...
    @overload
    def tag(self, name: str, first: type[A], second: type[B], /) -> TagFamily[[A, B]]: ...
    @overload
    def tag(self, name: str, first: type[A], second: type[B], third: type[C], /) -> TagFamily[[A, B, C]]: ...
    def tag(self, name: str, *types: type[Any]) -> Any:
        """A kind of tag with the types of its parts: `products = cache.tag("products", int)`.

        It may be declared in several modules; each time with the same types.
        """
        if name == EVERYTHING:
            raise DeclarationError(f"tag {name!r} means everything; see Cache.invalidate_all.")
        made: TagFamily[Any] = TagFamily(self.namespace, name, types, self._host.home)
        with self._host.lock:
            known = self._host.families.setdefault(name, made)
        if known.types != types:
            raise DeclarationError(
                f"tag {name!r} is declared already in cache {self.namespace!r}, as {known!r}: with other types it "
                "would name other tags, and an invalidation of one would miss the other."
            )
        return known

    @overload
    def read(
        self,
        name: str,
        contract: Contract,
        *,
        source: Source[R],
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Vary = (),
        ignore: Iterable[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
    ) -> WithSource[R]: ...
    @overload
    def read(
        self,
        name: str,
        contract: Contract,
        *,
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Vary = (),
        ignore: Iterable[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
    ) -> WithoutSource: ...
    def read(
        self,
        name: Any = None,
        contract: Any = None,
        *,
        source: Source[Any] | None = None,
        tags: Tags = (),
        value_tags: Callable[[Any], Iterable[Tag]] | None = None,
        vary: Vary = (),
        ignore: Iterable[str] = (),
        version: int | str = 1,
        max_tags: int = DEFAULT_TAGS_MAX,
        **unknown: Any,
    ) -> Any:
        """Cache a function or method, `async def` or `def`, under `contract`.

        Every parameter is part of the key, with defaults bound, except the source's resource (the first, when
        `source` is given) and those named in `ignore`.

        tags: what the value is computed from, as far as the arguments tell: a function that asks for parameters by
        name, or a list. value_tags: as far as the value tells. vary: context variables and functions of the
        parameters, for what the value depends on besides. version: raise it when the loader computes something else.
        max_tags: an entry with more is not stored.
        """
        if unknown:
            raise unknown_options(name, unknown)
        declaration = Declaration(name, contract, source, tags, value_tags, vary, ignore, version, max_tags)
        if contract is None and callable(name):
            return declare(name, declaration, self._host, {})  # @cache.read without arguments: this says so
        names = _names_at(inspect.currentframe())

        def decorate(function: Callable[..., Any]) -> Any:
            return declare(function, declaration, self._host, names)

        return decorate

    # Writing.

    async def invalidate(self, *tags: Tag) -> None:
        """What was computed from `tags` is out of date. Call it after the commit.

        When it returns, no read that starts later returns a value older than that commit.
        """
        ports = self._host.ports
        flow = writing.invalidate(self._host.tag_ids(tags, "cache.invalidate"), ports)
        await (ports.crew.surely(flow) if ports.shared else flow)

    async def invalidate_all(self) -> None:
        """Everything in this namespace is out of date."""
        await self.invalidate(self._host.everything_tag)
        _say_all_invalid(self.namespace)

    def changing(self, *tags: Tag) -> Changing:
        """The bracket around a write: commit inside, with `async with` or `with`.

        Safer than `invalidate` after the commit: a process that dies in between leaves nothing stale.
        """
        return Changing(tags, self._host)

    # Reading without a decorator.

    @overload
    async def get_or_load(
        self,
        key: Any,
        loader: Callable[[], Awaitable[V]],
        contract: Contract,
        *,
        type: Any = ...,
        tags: Iterable[Tag] = (),
    ) -> V: ...
    @overload
    async def get_or_load(
        self,
        key: Any,
        loader: Callable[[], V],
        contract: Contract,
        *,
        type: Any = ...,
        tags: Iterable[Tag] = (),
    ) -> V: ...
    async def get_or_load(
        self,
        key: Any,
        loader: Callable[[], Any],
        contract: Contract,
        *,
        type: Any = Any,
        tags: Iterable[Tag] = (),
    ) -> Any:
        """What `loader` returns, cached under `key`, any value or tuple of values that can be part of a key.

        type: what the value is; without it, only values made of plain parts can be stored (numbers, strings, lists,
        dicts). One key belongs to one contract and type.
        """
        return await self._inline.read(key, loader, contract, type, tags)

    # Seeing.

    def stats(self) -> CacheStats:
        """What happened so far, per endpoint, as integers."""
        host = self._host
        with host.lock:
            endpoints = list(host.endpoints.values())
        return CacheStats(
            self.namespace,
            len(host.l1),
            host.l1.bytes_used,
            {
                e.name: endpoint_stats(
                    e.name, e.tally, entries=len(e.table.entries), entry_hits=host.l1.hits(e.table)
                )
                for e in endpoints
            },
        )

    # Switching.

    @property
    def enabled(self) -> bool:
        """False while every read goes to the source."""
        return self._host.enabled

    def disable(self, *, share_loads: bool = True) -> None:
        """Send every read to the source until `enable`: nothing is served from the cache, and nothing is stored.

        share_loads: callers that ask for one key at once still share a load, so that switching the cache off turns no
        herd loose. Without it each read makes a load of its own, as if there were no cache.
        """
        self._host.shares_loads = share_loads
        self._host.enabled = False
        self._host.gate.switch(on=False)
        log.info("cache %s: disabled: every read goes to its source", self.namespace)

    def enable(self) -> None:
        """Serve again. What was held meanwhile may have missed no invalidation: those are heard while disabled."""
        self._host.enabled = True
        self._host.gate.switch(on=True)
        log.info("cache %s: enabled", self.namespace)

    def clear(self) -> None:
        """Drop all that this process holds; loads under way are not kept. For tests; in service, `invalidate_all`."""
        run_blocking(writing.invalidate((self._host.everything,), self._host.blocking_ports))
        self._host.l1.clear()

    async def aclose(self) -> None:
        """End what this cache does behind its callers on this event loop, and its threads. Reads still work."""
        await self._host.async_crew.aclose()
        await self._host.blocking_crew.aclose()

    def close(self) -> None:
        """End the threads that refresh behind callers. Reads still work."""
        self._host.blocking_crew.close()

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
        host = self._host
        state = "" if host.enabled else " DISABLED"
        return f"<Cache {self.namespace}{state} entries={len(host.l1)} endpoints={len(host.endpoints)}>"

    # Under testing.

    def _use_clock(self, now: Callable[[], float]) -> None:
        self._host.use_clock(now)

    def _be_strict(self, strict: bool) -> None:
        self._host.strict = strict


class Blocking:
    """The same for sync code: `cache.blocking.invalidate(products(42))`."""

    def __init__(self, host: Host, inline: Inline) -> None:
        self._host = host
        self._inline = inline

    def invalidate(self, *tags: Tag) -> None:
        """As `Cache.invalidate`."""
        host = self._host
        ids = host.tag_ids(tags, "cache.blocking.invalidate")
        run_blocking(writing.invalidate(ids, host.blocking_ports))

    def invalidate_all(self) -> None:
        """As `Cache.invalidate_all`."""
        self.invalidate(self._host.everything_tag)
        _say_all_invalid(self._host.namespace)

    def get_or_load(
        self,
        key: Any,
        loader: Callable[[], V],
        contract: Contract,
        *,
        type: Any = Any,
        tags: Iterable[Tag] = (),
    ) -> V:
        """As `Cache.get_or_load`, with a plain function."""
        return cast(V, self._inline.read_blocking(key, loader, contract, type, tags))


def _say_all_invalid(namespace: str) -> None:
    log.info("cache %s: everything is invalidated: its endpoints begin cold", namespace)


def _namespace(namespace: Any) -> str:
    if not isinstance(namespace, str) or not namespace:
        raise DeclarationError(f"namespace={namespace!r} must be a name, such as the service's.")
    return namespace


def _entries(l1_entries: Any) -> int:
    if isinstance(l1_entries, bool) or not isinstance(l1_entries, int) or l1_entries < 1:
        raise DeclarationError(f"l1_entries={l1_entries!r} must be a whole number of entries, at least 1.")
    return l1_entries


def _made_in(frame: FrameType | None) -> str:
    """Where the caller of `frame` is, in words for a message."""
    at = None if frame is None else frame.f_back
    return "no known place" if at is None else f"{at.f_globals.get('__name__')}, line {at.f_lineno}"


def _names_at(frame: FrameType | None) -> Mapping[str, Any]:
    """The local names where a decorator is written, for annotations that name what a function or class defines:
    those of the class body, and of the function around it."""
    found: dict[str, Any] = {}
    at = None if frame is None else frame.f_back
    while at is not None and at.f_code.co_name != "<module>":
        found = {**at.f_locals, **found}
        if at.f_code.co_flags & inspect.CO_OPTIMIZED:
            break  # a function's body; a class body, which is not optimised, is run by the scope it stands in
        at = at.f_back
    return found
