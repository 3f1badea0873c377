"""How the room is divided between new keys and proven ones, learned from evicted keys that come back.

Numbers only: it sees neither entries nor keys.
"""

from __future__ import annotations

from typing import Final

from cacheaside.stores.l1.ghosts import MAIN, PROBATION

SHARE_AT_START: Final = 0.05
SHARE_MIN: Final = 0.01
SHARE_MAX: Final = 0.9
"""Probation's share of the room: where it starts, and the bounds between which it moves."""
GROW: Final = 1.3
"""Probation grows faster than it shrinks, by this factor: after a shift of popularity it has to be quick."""
THRASHING: Final = 0.6
"""The brake is on while more than this part of what main evicted lately came back."""
EXPLORE: Final = 64
"""While the brake is on, one in so many keys that come back goes to main all the same."""
LATELY: Final = 16
"""Lately: the last evictions from main, one for every so many entries held."""
LATELY_MIN: Final = 64


class Balance:
    """Probation's share, and whether what main evicts comes straight back."""

    __slots__ = ("_back", "_braked", "_ghosts", "_left", "share")

    def __init__(self) -> None:
        self.share = SHARE_AT_START
        self._ghosts = [0.0, 0.0]
        self._left = 0.0
        self._back = 0.0
        self._braked = 0

    def evicted(self, origin: int, entries: int, ghosts: int) -> None:
        """One of `entries` entries was evicted from the queue `origin`; `ghosts` keys are remembered."""
        known = self._ghosts
        known[origin] += 1.0
        if (total := known[PROBATION] + known[MAIN]) > ghosts:
            known[PROBATION] *= ghosts / total
            known[MAIN] *= ghosts / total
        if origin == MAIN:
            self._left += 1.0
            if self._left > max(LATELY_MIN, entries / LATELY):
                self._left /= 2
                self._back /= 2

    def came_back(self, origin: int, part: float, entries: int) -> bool:
        """A key evicted from `origin` is back and takes `part` of the room. True: it goes to main."""
        thrashing = self._is_thrashing(entries)
        known = self._ghosts
        known[origin] = max(0.0, known[origin] - 1.0)
        if origin == MAIN:
            self._back += 1.0
            self.share -= part * max(1.0, known[PROBATION] / max(1.0, known[MAIN]))
        elif not thrashing:
            self.share += GROW * part * max(1.0, known[MAIN] / max(1.0, known[PROBATION]))
        if thrashing:
            self.share -= part
            self._braked += 1
        self.share = min(SHARE_MAX, max(SHARE_MIN, self.share))
        return not thrashing or self._braked % EXPLORE == 0

    def _is_thrashing(self, entries: int) -> bool:
        # A quarter of the window is the least evidence: a few keys that alternate are no loop.
        enough = self._left > max(LATELY_MIN, entries / LATELY) / 4
        return enough and self._back > THRASHING * self._left
