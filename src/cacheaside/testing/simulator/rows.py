"""The source of truth: things with versions, so that every value names what it was computed from.

What an acknowledged write promises is kept here too: `floor` is, for each thing, the oldest version that a read which
starts now may return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cacheaside.testing.simulator.scheduler import Clock

__all__ = ["ABSENT", "NOWHERE", "Rows", "SourceFailed", "Value"]

ABSENT: Final = b"absent"
NOWHERE: Final = -1
"""The content of a row that does not exist."""

Parts = tuple[tuple[int, int], ...]


class Value:
    """What a load returned. parts: (thing, version) of what it was computed from.

    born, born_step: when the oldest of it was read from the source. content: what the row says, or NOWHERE.
    """

    __slots__ = ("born", "born_step", "content", "parts")

    def __init__(self, parts: Parts, born: float, born_step: int, content: int) -> None:
        self.parts = parts
        self.born = born
        self.born_step = born_step
        self.content = content

    @property
    def absent(self) -> bool:
        return self.content == NOWHERE

    def __eq__(self, other: object) -> bool:
        return self.content == NOWHERE if other is ABSENT else self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        what = " ".join(f"{thing}v{version}" for thing, version in self.parts)
        return f"<{what}{' absent' if self.absent else ''}>"


class SourceFailed(Exception):
    """A loader's own error, with what the source held when it happened."""

    def __init__(self, key: str, parts: Parts, born: float, born_step: int) -> None:
        super().__init__(f"{key} failed over {parts}")
        self.key = key
        self.parts = parts
        self.born = born
        self.born_step = born_step


@dataclass(frozen=True, slots=True)
class _Promise:
    """From `time` on no read may return a version of `thing` older than `version`."""

    time: float
    thing: int
    version: int


class Rows:
    """Versioned things. `content` says what each holds: for a row, the group that it belongs to."""

    def __init__(self, clock: Clock, contents: list[int]) -> None:
        self._clock = clock
        self.versions = [1] * len(contents)
        self.content = contents
        self.floor: tuple[int, ...] = (0,) * len(contents)
        self._promises: list[_Promise] = []

    def commit(self, changes: dict[int, int]) -> dict[int, int]:
        """Give each thing its new content, in one instant; the new versions."""
        for thing, content in changes.items():
            self.versions[thing] += 1
            self.content[thing] = content
        return {thing: self.versions[thing] for thing in changes}

    def promise(self, versions: dict[int, int]) -> None:
        """A write was acknowledged: who starts to read now gets these versions or newer ones."""
        floor = list(self.floor)
        for thing, version in versions.items():
            floor[thing] = max(floor[thing], version)
        self.floor = tuple(floor)

    def promise_from(self, time: float, versions: dict[int, int]) -> None:
        """The same, for who starts to read at `time` or later: the writer died, and its marks have expired by then."""
        self._promises += [_Promise(time, thing, version) for thing, version in versions.items()]

    def floor_now(self) -> tuple[int, ...]:
        """What a read that starts now is promised."""
        if self._promises:
            now = self._clock.time
            for due in [promise for promise in self._promises if promise.time <= now]:
                self._promises.remove(due)
                self.promise({due.thing: due.version})
        return self.floor
