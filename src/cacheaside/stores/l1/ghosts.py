"""Which keys were evicted lately, and from where, in 4 bytes a cell.

Each key has a bucket of two cells. A cell holds 16 bits of the key's hash, the time of eviction and one bit
of origin; time is the number of evictions, counted in ticks of 1/512 of the memory's length. What is
overwritten early or mistaken for another key (1 in 30,000) costs one decision, never correctness.
"""

from __future__ import annotations

from array import array
from typing import Final

PROBATION: Final = 0
MAIN: Final = 1
"""Which queue a key was evicted from. Plain integers: they are shifted into cells."""

_TICKS: Final = 512
_STAMP_MASK: Final = 0x7FFF


class Ghosts:
    """Remembers about the last `length` evicted keys, in 8 bytes each."""

    __slots__ = ("_cells", "_per_tick", "_seen", "length")

    def __init__(self, length: int) -> None:
        self.length = max(2, length)
        self._cells = array("I", bytes(8 * self.length))
        self._per_tick = max(1, self.length // _TICKS)
        # One length in, so that the empty cells, stamped 0, are too old to count.
        self._seen = self.length + self._per_tick

    def _age(self, cell: int, now: int) -> int:
        return (now - cell) & _STAMP_MASK

    def add(self, key_hash: int, origin: int) -> None:
        """Remember a key that is evicted now, in place of the older one of its bucket."""
        self._seen += 1
        now = self._seen // self._per_tick
        cells = self._cells
        first = key_hash % self.length * 2
        at = first if self._age(cells[first], now) >= self._age(cells[first + 1], now) else first + 1
        cells[at] = (key_hash >> 32 & 0xFFFF) << 16 | origin << 15 | now & _STAMP_MASK

    def take(self, key_hash: int) -> int | None:
        """Where a key was evicted from, if it is remembered; it is forgotten with the answer."""
        now = self._seen // self._per_tick
        mark = key_hash >> 32 & 0xFFFF
        first = key_hash % self.length * 2
        for at in (first, first + 1):
            cell = self._cells[at]
            if cell >> 16 == mark and self._age(cell, now) * self._per_tick <= self.length:
                self._cells[at] = (now - _STAMP_MASK) & _STAMP_MASK
                return cell >> 15 & 1
        return None
