"""cacheaside's own rows on the shared tier, declared as its users would declare them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from bench.shared.peers import Decorate
from cacheaside import Cache, Contract


class SharedTierMissing(RuntimeError):
    """This version of cacheaside knows no shared tier, so it has no row."""


def check_shared_tier() -> None:
    """Raise `SharedTierMissing` where `Cache` takes no URL."""
    first = next(iter(inspect.signature(Cache).parameters.values()))
    if first.kind is inspect.Parameter.KEYWORD_ONLY:
        raise SharedTierMissing(
            "cacheaside cannot be measured on a server, for its Cache takes no URL in this version: "
            "choose other rows, as in --only redis-py --only cashews"
        )


@cache
def shared_cache(url: str, **options: Any) -> Cache:
    """The cache of this process on the server at `url`; everything here goes through this one function."""
    check_shared_tier()
    return Cache(url, namespace="bench", **options)


def decorate(url: str, load: Callable[[int], Any], ttl_s: float, *, l1_entries: int | None = None) -> Any:
    """With L1 as it is by default, or with nothing kept in this process (`l1_entries=0`)."""
    options = {} if l1_entries is None else {"l1_entries": l1_entries}
    return shared_cache(url, **options).read(load.__name__, Contract(ttl=ttl_s))(load)


reading_l2: Decorate = partial(decorate, l1_entries=0)


def refreshing(url: str, load: Callable[[int], Any], ttl_s: float) -> Any:
    """A hot endpoint: past its ttl a value is served for as long again while one caller loads the next.

    Without jitter, so that a period is a ttl.
    """
    return shared_cache(url).read(load.__name__, Contract(ttl=ttl_s, grace=ttl_s, jitter=0))(load)


def early(url: str, load: Callable[[int], Any], ttl_s: float) -> Any:
    """A hot endpoint that is never served past its ttl: refreshed before, by whichever process has the lease."""
    return shared_cache(url).read(load.__name__, Contract(ttl=ttl_s, early_refresh=1, jitter=0))(load)


def tagged(url: str, load: Callable[[int], Any], ttl_s: float) -> Any:
    """With one tag of its own for each entry."""
    shared = shared_cache(url, l1_entries=0)
    products = shared.tag("products", int)
    return shared.read(load.__name__, Contract(ttl=ttl_s), tags=lambda k: [products(k)])(load)


def watched(url: str, load: Callable[[int], Any], ttl_s: float) -> tuple[Any, Callable[[int], Any]]:
    """An endpoint whose entries have a tag each, read from L1, and what invalidates the tag of a key."""
    shared = shared_cache(url)
    products = shared.tag("products", int)
    cached = shared.read(load.__name__, Contract(ttl=ttl_s), tags=lambda k: [products(k)])(load)
    return cached, lambda k: shared.invalidate(products(k))
