"""What exporters know of a cache."""

from __future__ import annotations

from typing import Protocol

from cacheaside.observe.stats import CacheStats

__all__ = ["Seen"]


class Seen(Protocol):
    """A cache, as far as its numbers go."""

    @property
    def namespace(self) -> str: ...

    def stats(self) -> CacheStats: ...
