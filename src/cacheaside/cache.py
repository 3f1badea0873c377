"""`Cache`: where endpoints, sources and tags are declared, and writes are told."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar, cast, overload

from cacheaside.bounds import COMMIT_TIMEOUT
from cacheaside.contract import Contract
from cacheaside.control.control import Control
from cacheaside.durations import Duration, Size, byte_count
from cacheaside.endpoint.changing import Changing
from cacheaside.endpoint.colours import check_opener
from cacheaside.endpoint.declare import declare
from cacheaside.endpoint.decorating import WithoutSource, WithSource
from cacheaside.endpoint.environment import options_from
from cacheaside.endpoint.host import Host, WhenAway
from cacheaside.endpoint.inline import Inline
from cacheaside.endpoint.options import Declaration, Tags, Vary, unknown_options
from cacheaside.endpoint.seeing import Seeing, SeeingBlocking
from cacheaside.errors import DeclarationError
from cacheaside.flow import write as writing
from cacheaside.flow.blocking import run_blocking
from cacheaside.keys import checked_namespace
from cacheaside.settings import Settings
from cacheaside.source import Admission, Source
from cacheaside.stores.redis.options import options_of
from cacheaside.stores.redis.shared import OnFailover
from cacheaside.tags import EVERYTHING, Home, Tag, TagFamily
from cacheaside.warm.warming import BlockingWarming, Warming

__all__ = ["Blocking", "Cache"]

R = TypeVar("R")
V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

log = logging.getLogger("cacheaside")

DEFAULT_TAGS_MAX: Final = 64


class Cache(Warming, Seeing):
    """A cache in front of a source of truth. `Cache()` alone keeps everything in this process; with a URL, processes
    share what they loaded over Redis or Valkey, and hear of each other's writes.

    One per service, made at import; it opens nothing and starts nothing. Thread-safe, and usable from any number of
    event loops at once. After a fork the child begins anew with a shared tier. Without one it goes on with what was
    held; what the parent invalidates later it does not hear.

    url: where the shared tier is: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`, and the
    same with `valkey`. It needs not be there: reads then go to their sources.
    namespace: first part of every key and tag; with a URL it must be given, and be the same in all processes that
    share. l1_entries, l1_bytes: bounds of what this process holds, the latter in bytes of encoded payload; with a
    URL, l1_entries=0 holds nothing here. load_timeout: for endpoints without a source. commit_timeout: longer than
    any commit may take; how long a write whose outcome is unknown keeps its tags from being stored.

    For the shared tier:

    deadline: no read waits longer for an answer of it; a hit takes one, a load three; while it is away, none is
    waited for. max_unsynced: how long this process answers by itself after it last knew that
    it had heard every invalidation (G2). when_away: what a write does whose invalidation is not acknowledged:
    "raise", or "retry" behind the caller and say nothing; either way it is retried. on_failover: what becomes of
    entries when a server comes back with another history: "distrust" (past their ttl), "forget", or "trust".
    wait_replicas: so many replicas must have an invalidation before it is acknowledged. secrets: sign entries with
    the first, accept all. compress_from: compress values from this size on.

    control_file: what operators change on this machine (`cacheaside.control.file`); read at once, and again and again.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str | None = None,
        l1_entries: int = 100_000,
        l1_bytes: Size = "256MiB",
        load_timeout: Duration = "30s",
        commit_timeout: Duration = "30s",
        deadline: Duration = "50ms",
        max_unsynced: Duration = "2s",
        when_away: WhenAway = "raise",
        on_failover: OnFailover = "distrust",
        wait_replicas: int = 0,
        secrets: Sequence[bytes] = (),
        compress_from: Size | None = None,
        control_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if when_away not in ("raise", "retry"):
            raise DeclarationError(f'when_away={when_away!r} must be "raise" or "retry".')
        shared = None
        if url is not None:
            if namespace is None:
                raise DeclarationError(
                    'A cache with a URL needs a namespace, such as the service\'s name: Cache(url, namespace="shop"). '
                    "Caches of one namespace share their entries."
                )
            shared = options_of(
                url,
                deadline=deadline,
                max_unsynced=max_unsynced,
                on_failover=on_failover,
                wait_replicas=wait_replicas,
                secrets=secrets,
                compress_from=compress_from,
            )
        self._host = Host(
            checked_namespace("app" if namespace is None else namespace),
            home=Home(_made_in(inspect.currentframe())),
            entries_max=_entries(l1_entries, least=0 if url is not None else 1),
            bytes_max=byte_count(l1_bytes, name="l1_bytes"),
            load_timeout=load_timeout,
            mark_lifetime_s=COMMIT_TIMEOUT.seconds(commit_timeout, name="commit_timeout"),
            shared=shared,
            when_away=when_away,
        )
        self._inline = Inline(self._host)
        self.blocking = Blocking(self._host, self._inline)
        self.control = Control(self._host, secrets=secrets, file=control_file)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, /, **options: Any) -> Self:
        """A cache as the environment says (`cacheaside.settings`: CACHEASIDE_URL and others); `options` are those of
        the class, and count where the environment says nothing. A variable that cannot be used, or would not be in
        force, is a `DeclarationError`."""
        said = Settings.from_environ(environ)
        made = cls(**options_from(said, options))
        if said.disabled:
            made.disable()
        return made

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
        limit: int | Admission = 64,
        timeout: Duration = "30s",
    ) -> Source[R]: ...
    @overload
    def source(
        self,
        name: str,
        *,
        open: Callable[[], AbstractContextManager[R]],
        limit: int | Admission = 64,
        timeout: Duration = "30s",
    ) -> Source[R]: ...
    def source(
        self, name: str, *, open: Callable[[], Any], limit: int | Admission = 64, timeout: Duration = "30s"
    ) -> Source[Any]:
        """A source of truth. `open()` gives a context manager around a fresh resource for each load.

        limit: loads at once, in this process, at most; `Admission` says more. timeout: for one load and its wait.
        """
        check_opener(open, f"source {name!r}")
        made: Source[Any] = Source(name, open, limit=limit, timeout=timeout)
        self._host.add_source(made)
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
        heat: bool | None = None,
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
        heat: bool | None = None,
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
        heat: bool | None = None,
        **unknown: Any,
    ) -> Any:
        """Cache a function or method, `async def` or `def`, under `contract`.

        Every parameter is part of the key, with defaults bound, except the source's resource (the first, when
        `source` is given) and those named in `ignore`.

        tags: what the value is computed from, as far as the arguments tell: a function that asks for parameters by
        name, or a list. value_tags: as far as the value tells. vary: context variables and functions of the
        parameters, for what the value depends on besides. version: raise it when the loader computes something else.
        max_tags: an entry with more is not stored. heat: whether `keep_heat` may write arguments to its file; None: if
        they are numbers, dates, enums and UUIDs.
        """
        if unknown:
            raise unknown_options(name, unknown)
        declaration = Declaration(
            name, contract, source, tags, value_tags, vary, ignore, version, max_tags, heat
        )
        if contract is None and callable(name):
            return declare(name, declaration, self._host, {})  # @cache.read without arguments: this says so
        names = _names_at(inspect.currentframe())

        def decorate(function: Callable[..., Any]) -> Any:
            return declare(function, declaration, self._host, names)

        return decorate

    # Writing.

    async def invalidate(self, *tags: Tag, when_away: WhenAway | None = None) -> None:
        """What was computed from `tags` is out of date. Call it after the commit.

        When it returns, no read that starts later returns a value older than that commit. When the shared tier does not
        acknowledge it, it is retried behind the caller, and `Unacknowledged` says so unless when_away is "retry" (None:
        as the cache says).
        """
        host = self._host
        ids, ports = host.tag_ids(tags, "cache.invalidate"), host.ports
        with host.loudly(when_away):
            await writing.to_its_end(writing.invalidate(ids, ports), ids, ports)

    async def invalidate_all(self, *, when_away: WhenAway | None = None) -> None:
        """Everything in this namespace is out of date.

        Other processes hear of it within `max_unsynced`; what they read before is out of date no longer after that.
        """
        await self.invalidate(self._host.everything_tag, when_away=when_away)
        _say_all_invalid(self.namespace)

    def changing(self, *tags: Tag, when_away: WhenAway | None = None) -> Changing:
        """The bracket around a write: commit inside, with `async with` or `with`.

        Safer than `invalidate` after the commit: a process that dies in between leaves nothing stale. when_away
        (None: as the cache says): when the shared tier is away, "raise" `Unacknowledged` before the block, so that
        nothing is written, or, when it went away during it, after; "retry": go on, and tell it later.
        """
        return Changing(tags, self._host, when_away)

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
        self._host.forget_here()

    async def aclose(self) -> None:
        """End what this cache does behind its callers on this event loop, its threads, and its connections to the
        shared tier. Never waits for a server. Reads still work, and connect again."""
        await self._host.aclose_heat()
        await self._host.async_crew.aclose()
        await self._host.blocking_crew.aclose()
        await self.control.aclose()
        if self._host.shared is not None:
            await self._host.shared.aclose()

    def close(self) -> None:
        """End the threads that refresh behind callers, and connections that no event loop has. Reads still work."""
        self._host.close_heat()
        self._host.blocking_crew.close()
        self.control.close()
        if self._host.shared is not None:
            self._host.shared.close()

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
        if host.shared is not None:
            shared = host.shared.servers
            state += " shared=up" if shared.all_up else " shared=away" if shared.fleet else " shared=unused"
            state += "(blind)" if host.shared.hearing.is_blind else ""
        return f"<Cache {self.namespace}{state} entries={len(host.l1)} endpoints={len(host.endpoints)}>"

    # Under testing.

    def _use_clock(self, now: Callable[[], float]) -> None:
        self._host.use_clock(now)

    def _be_strict(self, strict: bool) -> None:
        self._host.strict = strict


class Blocking(BlockingWarming, SeeingBlocking):
    """The same for sync code: `cache.blocking.invalidate(products(42))`."""

    def __init__(self, host: Host, inline: Inline) -> None:
        self._host = host
        self._inline = inline

    def invalidate(self, *tags: Tag, when_away: WhenAway | None = None) -> None:
        """As `Cache.invalidate`."""
        host = self._host
        ids = host.tag_ids(tags, "cache.blocking.invalidate")
        with host.loudly(when_away):
            run_blocking(writing.invalidate(ids, host.blocking_ports))

    def invalidate_all(self, *, when_away: WhenAway | None = None) -> None:
        """As `Cache.invalidate_all`."""
        self.invalidate(self._host.everything_tag, when_away=when_away)
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


def _entries(l1_entries: Any, least: int) -> int:
    if isinstance(l1_entries, bool) or not isinstance(l1_entries, int) or l1_entries < least:
        raise DeclarationError(
            f"l1_entries={l1_entries!r} must be a whole number of entries, at least {least}."
        )
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
