"""How much goes out at once. More goes out one after the other, each with a deadline of its own: in one, it would take
longer than that, and the event loop for all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

__all__ = ["COMMANDS_AT_ONCE", "TAGS_AT_ONCE", "in_parts"]

T = TypeVar("T")

TAGS_AT_ONCE: Final = 500
"""How many tags of a write one exchange is about."""
COMMANDS_AT_ONCE: Final = 2_500
"""Of any exchange: what a read of very many tags asks, too."""


def in_parts(whole: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """In order, in parts about as large as each other: a WAIT is never alone, so that it waits for something."""
    count = max(1, -(-len(whole) // most))
    size = max(1, -(-len(whole) // count))
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
