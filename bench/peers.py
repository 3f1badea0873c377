"""The other caches, each set up as its documentation shows it to users, with a TTL.

A peer is a way to decorate a loader of one integer argument. Where a library has a second, stronger mode (against
stampedes, say), that is a row of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiocache
import async_lru
import cachebox
import cachetools
import cashews
import dogpile.cache
import theine

TTL_S = 3600
"""Longer than any run: what is timed as a hit never expires under way."""

AsyncLoad = Callable[[int], Awaitable[Any]]
SyncLoad = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class AsyncPeer:
    """A cache for coroutine functions. `decorate(load, entries)` runs inside the event loop that will use it."""

    name: str
    decorate: Callable[[AsyncLoad, int], AsyncLoad]
    bounded: bool = True
    """False: it never evicts, whatever its size."""


@dataclass(frozen=True, slots=True)
class SyncPeer:
    """A cache for plain functions."""

    name: str
    decorate: Callable[[SyncLoad, int], SyncLoad]
    bounded: bool = True


def _async_lru(load: Any, entries: int) -> AsyncLoad:
    return async_lru.alru_cache(maxsize=entries, ttl=TTL_S)(load)


def _cashews(load: AsyncLoad, entries: int, **options: Any) -> AsyncLoad:
    cache = cashews.Cache()
    cache.setup("mem://", size=entries)
    decorated: AsyncLoad = cache(ttl=timedelta(seconds=TTL_S), **options)(load)
    return decorated


def _aiocache(load: AsyncLoad, _entries: int) -> AsyncLoad:
    cached: AsyncLoad = aiocache.cached(ttl=TTL_S)(load)
    return cached


def _aiocache_stampede(load: AsyncLoad, _entries: int) -> AsyncLoad:
    cached: AsyncLoad = aiocache.cached_stampede(lease=2, ttl=TTL_S)(load)
    return cached


def _cachebox(load: Any, entries: int) -> Any:
    return cachebox.cached(cachebox.TTLCache(entries, TTL_S))(load)


def _theine(load: Any, entries: int) -> Any:
    return theine.Memoize(entries, timedelta(seconds=TTL_S))(load)


def _cachetools(load: SyncLoad, entries: int) -> SyncLoad:
    cached: SyncLoad = cachetools.cached(cachetools.TTLCache(entries, TTL_S), lock=threading.RLock())(load)
    return cached


def _cachetools_condition(load: SyncLoad, entries: int) -> SyncLoad:
    cache: Any = cachetools.TTLCache(entries, TTL_S)
    cached: SyncLoad = cachetools.cached(cache, condition=threading.Condition())(load)
    return cached


def _dogpile(load: SyncLoad, _entries: int) -> SyncLoad:
    region = dogpile.cache.make_region().configure("dogpile.cache.memory", expiration_time=TTL_S)
    cached: SyncLoad = region.cache_on_arguments()(load)
    return cached


ASYNC_PEERS = [
    AsyncPeer("async-lru", _async_lru),
    AsyncPeer("cachebox", _cachebox),
    AsyncPeer("theine", _theine),
    AsyncPeer("cashews", _cashews),
    AsyncPeer("aiocache", _aiocache, bounded=False),
]
ASYNC_PEERS_AGAINST_HERDS = [
    *ASYNC_PEERS,
    AsyncPeer("cashews, lock=True", lambda load, entries: _cashews(load, entries, lock=True)),
    AsyncPeer("aiocache, cached_stampede", _aiocache_stampede, bounded=False),
]
SYNC_PEERS = [
    SyncPeer("cachebox", _cachebox),
    SyncPeer("cachetools", _cachetools),
    SyncPeer("theine", _theine),
    SyncPeer("dogpile.cache", _dogpile, bounded=False),
]
SYNC_PEERS_AGAINST_HERDS = [*SYNC_PEERS, SyncPeer("cachetools, condition", _cachetools_condition)]
