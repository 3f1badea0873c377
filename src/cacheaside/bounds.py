"""The durations that an option may be, and what is said of others: whether an argument or a variable gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError

__all__ = ["COMMIT_TIMEOUT", "DEADLINE", "MAX_UNSYNCED", "Bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `least_s` to `most_s`, both included; what is wrong with less and with more, and what to write."""

    least_s: float
    most_s: float
    too_short: str
    too_long: str

    def problem(self, given_s: float) -> str | None:
        """What is wrong with so many seconds, as the end of a sentence that begins with a name; it quotes nothing."""
        if given_s < self.least_s:
            return self.too_short
        return self.too_long if given_s > self.most_s else None

    def seconds(self, value: Duration, *, name: str) -> float:
        """The option `name` in seconds; a `DeclarationError` when it is no duration, or out of bounds."""
        given_s = seconds(value, name=name)
        problem = self.problem(given_s)
        if problem is not None:
            raise DeclarationError(f"{name}={value!r} {problem}")
        return given_s


DEADLINE: Final = Bounds(
    0.001,
    60.0,
    "leaves a server no time to answer: 1 ms is the least.",
    "is longer than a read should wait for a cache: 60 s is the most. Choose it well below what a load takes.",
)
MAX_UNSYNCED: Final = Bounds(
    0.1,
    3600.0,
    "is too short to listen by: 100 ms is the least.",
    "is longer than L1 may answer without having heard of writes: 1 h is the most. A ttl may be longer.",
)
COMMIT_TIMEOUT: Final = Bounds(
    0.1,
    86_400.0,
    "ends before a commit does, so that the mark of a writer protects nothing: 100 ms is the least. Choose it longer "
    "than any commit takes.",
    "is longer than a commit takes: 1 d is the most. For so long a writer that dies keeps its tags from being stored.",
)
