"""Marks of writers that a fill finds: which of them to give an end, and when again (docs/protocol.md, R11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from cacheaside.types import TagId

__all__ = ["Ends"]

TAGS_MAX: Final = 10_000
"""So many are remembered; past that all are forgotten, which costs a round trip each."""


class Ends:
    """Which tags were looked after lately. Threads need no lock: two that look at once look twice.

    A mark almost always has an end, so one look for each half of its lifetime is enough: a tag that is written all the
    time would else cost each of its loads a round trip.
    """

    def __init__(self, lifetime_s: float, pace: Callable[[], float]) -> None:
        self.lifetime_s = lifetime_s
        self._pace = pace
        self._due: dict[TagId, float] = {}

    def due(self, marked: Iterable[TagId]) -> list[TagId]:
        """Those of `marked` to look after now; they count as looked after."""
        now, due = self._pace(), self._due
        found = [tag for tag in marked if due.get(tag, now) <= now]
        if found:
            if len(due) + len(found) > TAGS_MAX:
                due.clear()
            due.update(dict.fromkeys(found, now + self.lifetime_s / 2))
        return found
