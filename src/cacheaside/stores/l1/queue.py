"""A queue of entries threaded through the entries themselves.

Taking an entry out of the middle is immediate, so an invalidated entry costs nothing from that moment on. A
deque would be 8 B smaller per entry, and would hold the dead until they reach its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cacheaside.stores.l1.entry import Entry


class _End:
    """Stands in the ring where the youngest and the oldest entry meet."""

    __slots__ = ("after", "before")

    def __init__(self) -> None:
        self.after: Any = self
        self.before: Any = self


class Queue:
    """Oldest first. An entry is in one queue at most."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end = _End()

    def __iter__(self) -> Iterator[Entry]:
        entry = self._end.after
        while entry is not self._end:
            following = entry.after
            yield entry
            entry = following

    def oldest(self) -> Entry | None:
        """The entry at the front, still in the queue."""
        entry = self._end.after
        return None if entry is self._end else entry

    def append(self, entry: Any) -> None:
        """Put an entry at the back."""
        end = self._end
        last = end.before
        last.after = end.before = entry
        entry.before = last
        entry.after = end

    @staticmethod
    def unlink(entry: Any) -> None:
        """Take an entry out of whichever queue it is in."""
        before, after = entry.before, entry.after
        before.after = after
        after.before = before
        entry.before = entry.after = None

    @staticmethod
    def substitute(old: Any, new: Any) -> None:
        """Put `new` where `old` stands."""
        before, after = old.before, old.after
        before.after = after.before = new
        new.before, new.after = before, after
        old.before = old.after = None
