"""Which keys are asked for most, in bounded memory: no clock, no lock, no chance.

Misra-Gries counters [1] with weights, and trimmed many at a time as in [2]: when there are too many, the median is
taken off all of them, and those that are used up go. That is one addition for whoever counts, and work for every
counter only after half of them are new; and what two processes counted may simply be added up [3]. Counts fade with a
half-life: all of them are multiplied, which keeps their order and the bound.

What is counted is too small by at most `offset`, which is about 2 W / counters_max at most, of the weight W that was
counted and has not faded yet: a key with more than that is surely among them.

[1] J. Misra, D. Gries, Finding Repeated Elements, Science of Computer Programming 2 (1982).
[2] D. Anderson et al., A High-Performance Algorithm for Identifying Frequent Items in Data Streams, IMC 2017.
[3] P. Agarwal et al., Mergeable Summaries, PODS 2012.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from heapq import nlargest
from typing import Final, Generic, TypeVar

__all__ = ["Sketch"]

K = TypeVar("K", bound=Hashable)

FORGOTTEN: Final = 1e-3
"""A count that faded below this is nobody's any more."""
LEFT: Final = 2 * FORGOTTEN
"""What a key keeps that is used up and stays all the same."""
EQUALS: Final = 4
"""Of the counters, one in so many keeps its key in a trim, used up or not: where all keys are equally hot, some of
them are worth more than none. No more of them: the room that used-up keys leave makes trims rare, and counts exact.
"""


class Sketch(Generic[K]):
    """Counters of at most `counters_max` keys, and of twice as many until the next `trim`.

    `add` may be called from any thread at any time: threads that count a key at once may lose a count, nothing else.
    All else is for one thread.
    """

    def __init__(self, counters_max: int, half_life_s: float, now: float) -> None:
        self.counters_max = counters_max
        self.half_life_s = half_life_s
        self.offset = 0.0
        """How much any count may be too small."""
        self.dropped = 0
        """What was not counted, because there were too many new keys before the next `trim`."""
        self._counts: dict[K, float] = {}
        self._aged_at = now

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, key: K) -> bool:
        return key in self._counts

    @property
    def is_full(self) -> bool:
        """Whether it is to be trimmed."""
        return len(self._counts) > self.counters_max

    def add(self, key: K, weight: float = 1.0) -> bool:
        """Count `key`. False when it was dropped."""
        counts = self._counts
        before = counts.get(key)
        if before is not None:
            counts[key] = before + weight
            return True
        if len(counts) >= 2 * self.counters_max:
            self.dropped += 1
            return False
        counts[key] = weight
        return True

    def forget(self, key: K) -> None:
        """Count it no more."""
        self._counts.pop(key, None)

    def trim(self) -> list[K]:
        """Bring it back below `counters_max`; returns the keys that went."""
        if not self.is_full:
            return []
        # In place, over a copy that is made in one step: others go on counting meanwhile.
        counts = self._counts
        counted = list(counts.items())
        counted.sort(key=lambda item: item[1])
        cut = counted[len(counted) // 2][1]
        used_up = bisect_right(counted, cut, key=lambda item: item[1])
        first = min(used_up, len(counted) - self.counters_max // EQUALS)
        self.offset += cut
        gone = [key for key, _ in counted[:first]]
        for key in gone:
            counts.pop(key, None)
        for key, count in counted[first:]:
            counts[key] = max(count - cut, min(count, LEFT))
        return gone

    def age(self, now: float) -> list[K]:
        """Let the counts fade by the time since the last call; returns the keys that went."""
        passed_s = max(0.0, now - self._aged_at)
        self._aged_at = now
        if not passed_s:
            return []
        kept = 0.5 ** (passed_s / self.half_life_s)
        self.offset *= kept
        counts = self._counts
        gone = []
        for key, count in list(counts.items()):
            if count * kept > FORGOTTEN:
                counts[key] = count * kept
            else:
                counts.pop(key, None)
                gone.append(key)
        return gone

    def top(self, n: int) -> list[tuple[K, float]]:
        """The `n` keys with the highest counts, highest first."""
        return nlargest(n, list(self._counts.items()), key=lambda item: item[1])
