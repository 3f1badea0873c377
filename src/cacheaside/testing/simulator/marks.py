"""What must stand: the marks of writers under way, known from their own calls and not from where marks are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cacheaside.testing.simulator.scheduler import Clock, Task
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.types import TagId

__all__ = ["Marks"]


class _Mark:
    """One writer's mark of one tag. is_set: its writer was told so. stands: and the change after it was heard.
    is_lost: by where it is kept, before its time."""

    __slots__ = ("is_lost", "is_set", "stands", "until", "writer")

    def __init__(self, writer: str, until: float) -> None:
        self.writer = writer
        self.until = until
        self.is_set = False
        self.stands = False
        self.is_lost = False


class Marks:
    """The marks that writers of one process rely on. sooner: by what part of its lifetime a mark may end before its
    time, since the clock that ends it is another."""

    def __init__(self, clock: Clock, sooner: float = 0.0) -> None:
        self._clock = clock
        self._lasting = 1.0 - sooner
        self.stand = False
        """Whether any ever stood."""
        self._marks: dict[TagId, list[_Mark]] = {}
        self._latest: dict[Task, str] = {}

    def enlisting(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        """A writer asks for marks; it counts on them from `heard` on, until they may have expired."""
        until = self._clock.time + lifetime_s * self._lasting
        for tag in tags:
            self._marks.setdefault(tag, []).append(_Mark(writer, until))

    def enlisted(self, tags: Sequence[TagId], writer: str, task: Task) -> None:
        """They were set, and the writer was told so."""
        self._latest[task] = writer
        for mark in self._of(tags, writer):
            mark.is_set = True

    def _of(self, tags: Sequence[TagId], writer: str) -> list[_Mark]:
        return [mark for tag in tags for mark in self._marks.get(tag, ()) if mark.writer == writer]

    def heard(self, tags: Sequence[TagId], task: Task) -> None:
        """The change after the marks was heard: from here on nothing may be stored under the latest of `task`."""
        writer = self._latest.get(task)
        for mark in self._of(tags, writer) if writer is not None else ():
            mark.stands = mark.is_set and not mark.is_lost
            self.stand |= mark.stands

    def lost(self, tag: TagId) -> None:
        """Where they are kept, the marks of `tag` were lost before their time: nothing can be asked of them."""
        for mark in self._marks.get(tag, ()):
            mark.is_lost = True
            mark.stands = False

    def releasing(self, tags: Sequence[TagId], writer: str) -> None:
        """A writer takes its own marks back."""
        for tag in tags:
            if tag in self._marks:
                self._marks[tag] = [mark for mark in self._marks[tag] if mark.writer != writer]

    def nothing_stored_under(self, tags: Sequence[TagId], key: TagId) -> None:
        """Say that `key` was stored although a writer of one of `tags` is under way."""
        if self._marks:
            now = self._clock.time
            for tag in tags:
                for mark in self._marks.get(tag, ()):
                    if mark.stands and now < mark.until:
                        raise Violation("mark", f"{key} was stored under a writer's mark of {tag}")

    def still_there(self, tags: Sequence[TagId], kept: Mapping[TagId, Collection[str]]) -> None:
        """Say that a mark was cleared by somebody else. `kept`: the marks as they are kept."""
        now = self._clock.time
        for tag in tags:
            for mark in self._marks.get(tag, ()):
                if mark.stands and now < mark.until and mark.writer not in kept.get(tag, ()):
                    raise Violation("mark", f"another writer cleared a mark of {tag}")
