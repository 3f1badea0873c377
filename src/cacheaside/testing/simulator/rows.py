"""The source of truth: things with versions, so that every value names what it was computed from."""

from __future__ import annotations

from typing import Final

__all__ = ["ABSENT", "NOWHERE", "Parts", "Rows", "SourceFailed", "Value"]

ABSENT: Final = b"absent"
NOWHERE: Final = -1
"""The content of a row that does not exist."""

Parts = tuple[tuple[int, int], ...]


class Value:
    """What a load returned. parts: (thing, version) of what it was computed from.

    born, born_step: when the oldest of it was read from the source. content: what the row says, or NOWHERE. asked_step:
    when the shared tier was asked for it.
    """

    __slots__ = ("asked_step", "born", "born_step", "content", "parts")

    def __init__(self, parts: Parts, born: float, born_step: int, content: int) -> None:
        self.parts = parts
        self.born = born
        self.born_step = born_step
        self.content = content
        self.asked_step = -1

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

    def __init__(self, name: str, key: str, parts: Parts, born: float, born_step: int) -> None:
        super().__init__(f"{key} failed over {parts}")
        self.name = name
        self.key = key
        self.parts = parts
        self.born = born
        self.born_step = born_step


class Rows:
    """Versioned things. `content` says what each holds: for a row, the group that it belongs to."""

    def __init__(self, contents: list[int]) -> None:
        self.versions = [1] * len(contents)
        self.content = contents

    def commit(self, changes: dict[int, int]) -> dict[int, int]:
        """Give each thing its new content, in one instant; the new versions."""
        for thing, content in changes.items():
            self.versions[thing] += 1
            self.content[thing] = content
        return {thing: self.versions[thing] for thing in changes}
