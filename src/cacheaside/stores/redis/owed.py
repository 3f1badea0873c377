"""Invalidations that no server has acknowledged yet, and are tried again until one does (docs/protocol.md, R25)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from cacheaside.types import TagId

__all__ = ["Owed"]

TAGS_MAX: Final = 100_000
"""More than that are owed as one: everything."""
BATCH_TAGS: Final = 500
_NOTHING: Final[frozenset[TagId]] = frozenset()


class Owed:
    """The tags that this process owes a new generation. Thread-safe.

    While a tag is here it counts as changing: nothing is kept, stored or fetched for it in this process. A tag that is
    owed again while a try is under way stays: that try may have been sent before the commit that it is owed for.
    """

    def __init__(self, everything: TagId) -> None:
        self._everything = everything
        self._lock = threading.RLock()
        self._tags: dict[TagId, int] = {}
        self._number = 0
        self._told = 0
        """The number up to which a line in the log said that it is owed."""

    def add(self, tags: Iterable[TagId]) -> None:
        """Owe these too."""
        with self._lock:
            self._number += 1
            for tag in tags:
                self._tags[tag] = self._number
            if len(self._tags) > TAGS_MAX:
                self._tags = {self._everything: self._number}

    def any_of(self, tags: Sequence[TagId]) -> bool:
        """Whether one of `tags`, or everything, is owed."""
        owed = self._tags
        if not owed:
            return False
        return self._everything in owed or any(tag in owed for tag in tags)

    def names(self) -> frozenset[TagId]:
        """What is owed now."""
        return frozenset(self._tags) if self._tags else _NOTHING

    def batch(self) -> tuple[tuple[TagId, ...], int]:
        """Some that are owed, to try; and what `paid` is to be told with them."""
        with self._lock:
            return tuple(self._tags)[:BATCH_TAGS], self._number

    def paid(self, tags: Sequence[TagId], number: int) -> None:
        """A bump of `tags` that was sent after `batch` gave `number` is acknowledged."""
        with self._lock:
            for tag in tags:
                if self._tags.get(tag, number + 1) <= number:
                    del self._tags[tag]

    def untold(self) -> tuple[TagId, ...]:
        """What is owed, for a line in the log: nothing, when a line has named all of it."""
        with self._lock:
            tags = tuple(self._tags)
            news = any(number > self._told for number in self._tags.values())
            self._told = self._number
            return tags if news else ()

    def forget(self) -> None:
        """In a child made by fork: they are the parent's to pay. What is owed stays owed here too: the child may hold
        what they are about; to pay twice is harmless. To complain of them is for the parent."""
        self._lock = threading.RLock()
        self._told = self._number

    def clear(self) -> None:
        """Owe nothing. For tests."""
        with self._lock:
            self._tags = {}

    def __len__(self) -> int:
        return len(self._tags)
