"""How much of a source's limit a process that starts cold may use: an eighth at first, and twice as much three times.

As TCP's slow start (Jacobson, SIGCOMM 1988) finds the width of a path that is not known, for the same reason: many that
begin at once must not meet all at full width.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FIRST_SHARE", "slow_start_most"]

FIRST_SHARE: Final = 1 / 8
"""Of the limit, at the beginning."""


def slow_start_most(most: int, since_s: float, over_s: float) -> int:
    """Of `most` loads at once, how many are allowed `since_s` after the beginning of a slow start that takes `over_s`.
    At least 1, and all from its end on; a clock that went back is at the beginning."""
    if since_s >= over_s:
        return most
    share: float = FIRST_SHARE ** (1 - max(0.0, since_s) / over_s)
    return max(1, round(most * share))
