"""From a tag to the entries computed from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from cacheaside.stores.l1.entry import Entry
from cacheaside.types import TagId

__all__ = ["TagIndex"]


class TagIndex:
    """The reverse index of L1. A tag with one entry costs one slot; a set is made for the second.

    Not thread-safe: guarded by the lock of L1.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[TagId, Entry | set[Entry]] = {}

    def shared(self, tags: Iterable[TagId]) -> tuple[TagId, ...]:
        """`tags`, each as the very string that entries indexed already hold, so that equal ones take room once."""
        return tuple(self._own(tag) for tag in tags)

    def _own(self, tag: TagId) -> TagId:
        held = self._entries.get(tag)
        if held is None:
            return tag
        entry = next(iter(held)) if isinstance(held, set) else held
        return next((own for own in cast(tuple[TagId, ...], entry.tags) if own == tag), tag)

    def add(self, entry: Entry) -> None:
        """Index `entry` under each of its tags."""
        for tag in cast(tuple[TagId, ...], entry.tags):
            held = self._entries.get(tag)
            if held is None:
                self._entries[tag] = entry
            elif isinstance(held, set):
                held.add(entry)
            elif held is not entry:
                self._entries[tag] = {held, entry}

    def remove(self, entry: Entry) -> None:
        """Forget `entry`; one that is not indexed is left alone."""
        for tag in cast(tuple[TagId, ...], entry.tags):
            held = self._entries.get(tag)
            if held is entry:
                del self._entries[tag]
            elif isinstance(held, set):
                held.discard(entry)
                if not held:
                    del self._entries[tag]

    def of(self, tag: TagId) -> tuple[Entry, ...]:
        """The entries computed from `tag`."""
        held = self._entries.get(tag)
        if held is None:
            return ()
        return tuple(held) if isinstance(held, set) else (held,)

    def __len__(self) -> int:
        return len(self._entries)
