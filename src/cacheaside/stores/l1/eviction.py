"""Which entries to keep when not all fit."""

from __future__ import annotations

from collections import deque

from cacheaside.stores.l1.entry import BLOCK_BYTES, Entry

LARGEST_SHARE = 8
"""An entry larger than this fraction (one eighth) of the byte budget is refused."""


class Eviction:
    """Bounds the entries of one L1 by number and by bytes.

    It names victims and holds no table: the caller takes them out of their tables and their tags' index.
    Not thread-safe: every method is called under the lock of the store. The hit path calls none of them.

    `entry.hits` belongs to the policy. Whatever it takes off is added to `entry.table.hits`, so that a table's hits
    are always `table.hits` plus the `hits` of the entries still in it.
    """

    def __init__(self, capacity_entries: int, capacity_bytes: int) -> None:
        self._capacity = max(1, capacity_entries)
        self._capacity_blocks = max(1, capacity_bytes // BLOCK_BYTES)
        self._queue: deque[Entry] = deque()
        self._live = 0
        self._blocks = 0

    def __len__(self) -> int:
        return self._live

    @property
    def bytes_used(self) -> int:
        """Payload bytes held, in whole blocks."""
        return self._blocks * BLOCK_BYTES

    def accepts(self, blocks: int) -> bool:
        """False when an entry of that size would be refused: it is larger than an eighth of the byte budget."""
        return blocks * LARGEST_SHARE <= self._capacity_blocks

    def insert(self, entry: Entry, key_hash: int) -> list[Entry]:
        """Take a new entry; returns those which the caller must now remove (the entry itself when it is refused)."""
        if not self.accepts(entry.blocks):
            entry.blocks = 0
            return [entry]
        self._live += 1
        self._blocks += entry.blocks
        self._queue.append(entry)
        return self._shrink()

    def replace(self, old: Entry, new: Entry) -> list[Entry]:
        """Take a refill of a key: as `insert`, but the key keeps its standing."""
        new.hits += old.hits
        old.hits = 0
        self.remove(old)
        return self.insert(new, 0)

    def remove(self, entry: Entry) -> None:
        """Forget an entry that the caller takes out; one that is not held is left alone."""
        if not entry.blocks:
            return
        self._live -= 1
        self._blocks -= entry.blocks
        entry.blocks = 0
        entry.table.hits += entry.hits
        entry.hits = 0

    def clear(self) -> None:
        """Forget every entry."""
        for entry in self._queue:
            self.remove(entry)
        self._queue.clear()

    def _shrink(self) -> list[Entry]:
        victims: list[Entry] = []
        while self._live > self._capacity or self._blocks > self._capacity_blocks:
            entry = self._queue.popleft()
            if not entry.blocks:
                continue
            if entry.hits:
                kept = min(entry.hits, 4) - 1
                entry.table.hits += entry.hits - kept
                entry.hits = kept
                self._queue.append(entry)
            else:
                self.remove(entry)
                victims.append(entry)
        return victims
