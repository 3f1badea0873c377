"""A log-linear histogram of durations: integers only, fixed size, eight buckets for each doubling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["Histogram"]

_SUB_BITS: Final = 3
_SUB: Final = 1 << _SUB_BITS
_BUCKETS: Final = 40 * _SUB


class Histogram:
    """Counts of durations from 1 µs to 50 days; longer ones count in the last bucket.

    A quantile is reported as the upper edge of its bucket, so it is never too small, and too large by at most 12.5 %,
    or by 1 µs where that is more.
    """

    __slots__ = ("_counts", "count", "sum_us")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.sum_us = 0

    def record(self, duration_s: float, weight: int = 1) -> None:
        """Count a duration `weight` times; negative ones count as zero."""
        us = int(duration_s * 1e6) if duration_s > 0.0 else 0
        self._counts[_bucket(us)] += weight
        self.count += weight
        self.sum_us += us * weight

    def quantile_s(self, share: float) -> float:
        """The duration that `share` (0 to 1) of the counted ones do not exceed, in seconds; 0.0 when empty."""
        counts = list(self._counts)
        rank = share * sum(counts)
        seen = 0
        for index, n in enumerate(counts):
            seen += n
            if n and seen >= rank:
                return _upper_us(index) / 1e6
        return 0.0

    @property
    def mean_s(self) -> float:
        """The mean in seconds; 0.0 when empty."""
        return self.sum_us / self.count / 1e6 if self.count else 0.0

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Each used bucket's upper edge, in microseconds, with its count."""
        return ((_upper_us(index), n) for index, n in enumerate(self._counts) if n)

    def add(self, other: Histogram) -> None:
        """Count everything that `other` counted."""
        for index, n in enumerate(other._counts):
            if n:
                self._counts[index] += n
        self.count += other.count
        self.sum_us += other.sum_us


def _bucket(us: int) -> int:
    if us < _SUB:
        return us
    shift = us.bit_length() - _SUB_BITS - 1
    return min(((shift + 1) << _SUB_BITS) + (us >> shift) - _SUB, _BUCKETS - 1)


def _upper_us(index: int) -> int:
    if index < _SUB:
        return index + 1
    shift = (index >> _SUB_BITS) - 1
    return ((index & (_SUB - 1)) + _SUB + 1) << shift
