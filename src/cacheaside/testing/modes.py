"""A cache that is not there, and one that is strict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cacheaside.cache import Cache
from cacheaside.testing.inside import host_of

__all__ = ["disabled", "strict"]


@contextmanager
def disabled(cache: Cache) -> Iterator[None]:
    """Inside of the block every read goes to the source: nothing is served from the cache, stored or shared.

    For tests of the code around a cache that do not care about it, and to show that the code is right without one.
    What was held before is there again after, as far as it was not invalidated meanwhile.
    """
    host = host_of(cache)
    was_enabled, shared_loads = cache.enabled, host.shares_loads
    cache.disable(share_loads=False)
    try:
        yield
    finally:
        host.shares_loads = shared_loads
        if was_enabled:
            cache.enable()


@contextmanager
def strict(cache: Cache, on: bool = True) -> Iterator[None]:
    """Inside of the block a value that cannot be stored is an error of the read, rather than a line in the log.

    A value that does not fit its endpoint's annotation, or whose value_tags= or store= function fails, costs the
    service its cache and nothing else; a test should say so. `isolated` is strict; `strict(cache, on=False)` makes an
    exception.
    """
    host = host_of(cache)
    before, host.strict = host.strict, on
    try:
        yield
    finally:
        host.strict = before
