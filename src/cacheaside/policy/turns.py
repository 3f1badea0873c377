"""Whose turn it is: the order between priorities, and which repeated loads may wait.

Under pressure the highest priority that waits is next. So that it does not starve the others for ever, each lower one
has a share of the turns that are given while it waits: a credit that grows with each turn given, and that buys one
turn when it is whole (deficit round robin, Shreedhar and Varghese, SIGCOMM 1995). It buys none while loads of that
priority hold as large a share of the limit as that already, or few long ones would crowd out many short ones.

Repeats have a budget (Google's SRE book, ch. 21): what a load that is nobody's first try may add to a source under
pressure is a tenth of the loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["BURST", "SHARES_PERCENT", "Order", "RetryBudget"]

SHARES_PERCENT: Final = (0, 20, 5)
"""Of the turns given while it waits, by priority: the first has what the others leave."""
EARNED: Final = 0.1
BURST: Final = 10.0


class Order:
    """Who is next. Not thread-safe."""

    __slots__ = ("_credit", "_shares")

    def __init__(self, shares_percent: Sequence[int] = SHARES_PERCENT) -> None:
        self._shares = tuple(shares_percent)
        self._credit = [0] * len(self._shares)

    def next(self, waiting: Sequence[int], held: Sequence[int], most: int) -> int | None:
        """The priority that gets the next turn, 0 the highest; None when nobody waits.

        waiting: how many wait, by priority. held: the weight of those that have a turn, of at most `most` in all.
        """
        first = None
        for priority in range(
            len(self._shares) - 1, -1, -1
        ):  # the smallest share has waited longest for its credit
            if not waiting[priority]:
                continue
            within = held[priority] * 100 < max(100, self._shares[priority] * most)
            if within and self._credit[priority] >= 100:
                return priority
            first = priority
        return first

    def given(self, priority: int, waiting: Sequence[int]) -> None:
        """A turn went to `priority`, where so many waited, itself included."""
        credit = self._credit
        for one, share in enumerate(self._shares):
            if not waiting[one]:
                credit[one] = 0  # who does not wait saves nothing up
            elif credit[one] < 200:  # and nobody more than a turn beyond the next
                credit[one] += share
        credit[priority] = credit[priority] - 100 if credit[priority] > 100 else 0


class RetryBudget:
    """Tokens for repeats: a tenth of one for each load, ten at most. Not thread-safe."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BURST

    def earn(self) -> None:
        """A load had its turn."""
        if self.left < BURST:
            self.left = min(BURST, self.left + EARNED)

    def spend(self) -> bool:
        """Take a token; False when there is none."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
