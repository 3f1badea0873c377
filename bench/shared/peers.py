"""The other caches on a server, each set up as its documentation shows it to users.

One thing was changed: a pool that raises when callers outnumber its connections was given room for all of them. What
is imported is imported by the process that measures it, and by no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from bench.shared.handwritten import CONNECTIONS, Load, place

Decorate = Callable[[str, Load, float], Any]
"""URL of the server, loader, ttl in seconds; gives the loader, cached. Called in the event loop that will use it."""


@dataclass(frozen=True, slots=True)
class SharedPeer:
    """A cache on a server, for coroutine functions (tasks) or plain ones (threads)."""

    name: str
    kind: str
    decorate: Decorate


def cashews(url: str, load: Load, ttl_s: float, **options: Any) -> Load:
    import cashews

    cache = cashews.Cache()
    cache.setup(url)
    decorated: Load = cache(ttl=timedelta(seconds=ttl_s), **options)(load)
    return decorated


def cashews_early(url: str, load: Load, ttl_s: float) -> Load:
    """Kept for twice the ttl, and loaded again in the background from the ttl on."""
    import cashews

    cache = cashews.Cache()
    cache.setup(url)
    decorated: Load = cache.early(ttl=timedelta(seconds=2 * ttl_s), early_ttl=timedelta(seconds=ttl_s))(load)
    return decorated


def aiocache(url: str, load: Load, ttl_s: float, *, stampede: bool = False) -> Load:
    import aiocache
    from aiocache.serializers import PickleSerializer

    where = place(url)
    decorate: Any = partial(aiocache.cached_stampede, lease=2) if stampede else aiocache.cached
    cached: Load = decorate(
        ttl=ttl_s,
        cache=aiocache.Cache.REDIS,
        endpoint=where["host"],
        port=where["port"],
        pool_max_size=CONNECTIONS,
        serializer=PickleSerializer(),
    )(load)
    return cached


def fastapi_cache(url: str, load: Load, ttl_s: float) -> Load:
    """Its decorator, called as any function: without a request it looks for none. Its JSON takes no Struct: pickle."""
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.coder import PickleCoder
    from fastapi_cache.decorator import cache
    from redis.asyncio import Redis

    client = Redis.from_url(url, max_connections=CONNECTIONS)
    FastAPICache.init(RedisBackend(client), prefix="bench", coder=PickleCoder)
    decorated: Load = cache(expire=int(ttl_s))(load)
    return decorated


def dogpile(url: str, load: Load, ttl_s: float, **options: Any) -> Load:
    from dogpile.cache import make_region

    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=ttl_s,
        arguments={
            **place(url),
            "redis_expiration_time": int(2 * ttl_s),
            "connection_kwargs": {"max_connections": CONNECTIONS},
            **options,
        },
    )
    cached: Load = region.cache_on_arguments()(load)
    return cached


def django_redis(url: str, load: Load, ttl_s: float, **options: Any) -> Load:
    from django.conf import settings

    if not settings.configured:
        pool = {"max_connections": CONNECTIONS}
        backend = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
        settings.configure(
            CACHES={"default": {**backend, "OPTIONS": {"CONNECTION_POOL_KWARGS": pool, **options}}}
        )
    from django.core.cache import cache

    def read(k: int) -> Any:
        return cache.get_or_set(f"{load.__name__}:{k}", lambda: load(k), ttl_s)

    return read


def sleeping(_url: str, load: Load, _ttl_s: float) -> Load:
    """Not a cache: what callers that only sleep take."""
    held: dict[int, Any] = {}

    async def read_async(k: int) -> Any:
        return held[k] if k in held else held.setdefault(k, await load(k))

    return read_async


def sleeping_sync(_url: str, load: Load, _ttl_s: float) -> Load:
    held: dict[int, Any] = {}

    def read(k: int) -> Any:
        return held[k] if k in held else held.setdefault(k, load(k))

    return read


def ours(which: str) -> Decorate:
    def decorate(url: str, load: Load, ttl_s: float) -> Load:
        from bench.shared import ours

        decorated: Load = getattr(ours, which)(url, load, ttl_s)
        return decorated

    return decorate
