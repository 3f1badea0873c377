"""Reads inside a load: which load this code runs in, and what it has read through other endpoints."""

from __future__ import annotations

from contextvars import ContextVar
from threading import Lock

from cacheaside.source.source import Source
from cacheaside.types import Generation, TagId

__all__ = ["OpenNest", "scope"]


class OpenNest:
    """Implements `flow.ports.Nest`. Reads may come from several tasks or threads that the loader started."""

    __slots__ = ("_lock", "closed", "oldest", "outer", "source", "stamp", "vouched")

    def __init__(self, source: Source[object], outer: OpenNest | None) -> None:
        self._lock = Lock()
        self.source = source
        self.outer = outer
        self.stamp: dict[TagId, Generation] = {}
        self.oldest: float | None = None
        self.vouched = True
        self.closed = False

    def joined(self, stamp: dict[TagId, Generation], loaded_at: float) -> None:
        """Something loaded at `loaded_at` under `stamp` was read; two generations of one tag cannot both be right."""
        with self._lock:
            for tag, generation in stamp.items():
                if self.stamp.setdefault(tag, generation) != generation:
                    self.vouched = False
            self.oldest = loaded_at if self.oldest is None else min(self.oldest, loaded_at)

    def unvouched(self) -> None:
        """Something that cannot be vouched for was read."""
        self.vouched = False

    def holds_turn_of(self, source: Source[object]) -> bool:
        """Whether this load, or one around it, holds a turn of `source`: a load inside it must not ask for another,
        or as many outer loads as there are turns would wait for each other."""
        nest: OpenNest | None = self
        while nest is not None:
            if nest.source is source:
                return True
            nest = nest.outer
        return False


scope: ContextVar[OpenNest | None] = ContextVar("cacheaside_scope", default=None)
"""The load that this context runs inside of. Anything but None takes reads off the fast path."""
