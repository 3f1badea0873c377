"""From a tag to the entries computed from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from cacheaside.stores.l1.entry import Entry
from cacheaside.types import TagId

__all__ = ["TagIndex"]


class _Several(set[Entry]):
    """The entries of a tag that has more than one, and the tag: looking it up in a member could take long, since a set
    that has shrunk is searched through all its former room."""

    __slots__ = ("tag",)

    def __init__(self, tag: TagId, entries: Iterable[Entry]) -> None:
        super().__init__(entries)
        self.tag = tag


class TagIndex:
    """The reverse index of L1. A tag with one entry costs one slot; a set is made for the second.

    Not thread-safe: guarded by the lock of L1.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[TagId, Entry | _Several] = {}

    def shared(self, tags: Iterable[TagId]) -> tuple[TagId, ...]:
        """`tags`, each as the very string that entries indexed already hold, so that equal ones take room once."""
        return tuple(self._own(tag) for tag in tags)

    def _own(self, tag: TagId) -> TagId:
        held = self._entries.get(tag)
        if held is None:
            return tag
        if isinstance(held, _Several):
            return held.tag
        return next((own for own in cast(tuple[TagId, ...], held.tags) if own == tag), tag)

    def add(self, entry: Entry) -> None:
        """Index `entry` under each of its tags."""
        for tag in cast(tuple[TagId, ...], entry.tags):
            held = self._entries.get(tag)
            if held is None:
                self._entries[tag] = entry
            elif isinstance(held, _Several):
                held.add(entry)
            elif held is not entry:
                self._entries[tag] = _Several(tag, (held, entry))

    def remove(self, entry: Entry) -> None:
        """Forget `entry`; one that is not indexed is left alone."""
        for tag in cast(tuple[TagId, ...], entry.tags):
            held = self._entries.get(tag)
            if held is entry:
                del self._entries[tag]
            elif isinstance(held, _Several):
                held.discard(entry)
                if not held:
                    del self._entries[tag]

    def of(self, tag: TagId) -> tuple[Entry, ...]:
        """The entries computed from `tag`."""
        held = self._entries.get(tag)
        if held is None:
            return ()
        return tuple(held) if isinstance(held, _Several) else (held,)

    def __len__(self) -> int:
        return len(self._entries)
