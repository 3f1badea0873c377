"""Which thing a request asks for: Zipf's law over things in the order of their popularity. Pure, given its chance."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

__all__ = ["Zipf"]

T = TypeVar("T")


class Zipf(Generic[T]):
    """Draws the k-th of `things` with a probability proportional to 1 / k ** `exponent`."""

    def __init__(self, things: Sequence[T], exponent: float, random: Random) -> None:
        if not things:
            raise ValueError("nothing to draw from")
        self._things = things
        self._random = random
        self._until = list(accumulate(1 / rank**exponent for rank in range(1, len(things) + 1)))

    def draw(self) -> T:
        """One of the things."""
        # The last edge times a number below 1 can round up to the edge itself.
        position = bisect(self._until, self._random.random() * self._until[-1])
        return self._things[min(position, len(self._things) - 1)]
