"""The short log of heard changes: did any of these tags change since then?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from cacheaside.types import TagId

__all__ = ["LOG_TAGS_MAX", "ChangeLog"]

LOG_TAGS_MAX: Final = 65_536
FORGET_PART: Final = 8
"""One in so many tags is forgotten at once when the log is full."""


class ChangeLog:
    """The last change of each recently changed tag, by number. Not thread-safe: guarded by the lock of L1.

    It is bounded: the tags that changed longest ago are forgotten, and what it can no longer show it denies. Many are
    forgotten at a time, since no load under way then can be shown to be current any more; one at a time, that would be
    every load, for as long as more tags change than it remembers.
    """

    __slots__ = ("_floor", "_last", "_tags_max", "number", "unsettled")

    def __init__(self, tags_max: int = LOG_TAGS_MAX) -> None:
        self._last: dict[TagId, int] = {}
        self._tags_max = tags_max
        self._floor = 0
        self.number = 0
        """The number of the last change; a reader's position is this number."""
        self.unsettled: Callable[[Sequence[TagId]], bool] | None = None
        """Whether one of these tags counts as changing all the time."""

    def record(self, tags: Sequence[TagId]) -> None:
        """Each of `tags` changed now."""
        self.number += 1
        last = self._last
        for tag in tags:
            last.pop(tag, None)
            last[tag] = self.number
        if len(last) > self._tags_max:
            keep = self._tags_max - self._tags_max // FORGET_PART
            for oldest in list(islice(last, len(last) - keep)):
                self._floor = last.pop(oldest)

    def forget_all(self) -> None:
        """Everything may have changed: nothing that began before now can be shown to be current."""
        self.number += 1
        self._last.clear()
        self._floor = self.number

    def __len__(self) -> int:
        """How many tags are remembered."""
        return len(self._last)

    def last(self, tag: TagId) -> int:
        """The number of the last change of `tag`; when it is not known, of the last change that it could be."""
        return self._last.get(tag, self._floor)

    def reaches(self, since: int) -> bool:
        """Whether every change after position `since` is remembered."""
        return since >= self._floor

    def unchanged(self, tags: Sequence[TagId], since: int) -> bool:
        """True when it is shown that none of `tags` changed after position `since`."""
        if since < self._floor:
            return False
        last = self._last
        for tag in tags:
            if last.get(tag, 0) > since:
                return False
        return self.unsettled is None or not self.unsettled(tags)
