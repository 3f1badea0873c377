"""What a load stands on: a turn of its source's limit, of its own or lent by a load around it.

A load inside a load of the same source must not wait for a turn while the outer one holds one, or as many outer
loads as there are turns would wait for each other. Nor may it go without, or a loader that gathers fifty reads would
put fifty loads on the source for its one turn. So it takes a turn if one is free, and else borrows the turn of the load
around it, which waits for it meanwhile: one borrower at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Final

from cacheaside.source.limit import Limit, Turn

__all__ = ["Footing", "footing"]

BORROWERS_MAX: Final = 10_000
"""Loads inside one load that wait for its turn."""


class Footing:
    """A turn, and who stands on it: the load that asked for it, and those inside that borrow it or wait to.

    It is given back when the last of them is done, whoever that is: a load inside may outlive the one around it.
    """

    __slots__ = ("_limit", "_loans", "_lock", "_users", "turn", "under")

    def __init__(self, limit: Limit, turn: Turn, under: Footing | None) -> None:
        self._limit = limit
        self._loans: Limit | None = None
        self._lock = RLock()
        self._users = 1
        self.turn = turn
        self.under = under

    def enter(self) -> Limit | None:
        """What to ask for a loan; None when the turn has been given back already. Pair it with `leave`."""
        with self._lock:
            if not self._users:
                return None
            self._users += 1
            if self._loans is None:
                self._loans = Limit(1, BORROWERS_MAX)
            return self._loans

    def leave(self) -> None:
        """One of those who stand on it is done, or waits no longer."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        self._limit.give_back(self.turn)
        if self.under is not None:
            self.under.leave()


def footing(
    limit: Limit, around: Footing | None, wake: Callable[[], bool], gone: Callable[[], bool]
) -> Footing | None:
    """A footing whose turn is granted now or later, by `wake`; None when too many wait.

    around: the footing of the nearest load around this one that is of the same source.
    """
    loans = None if around is None else around.enter()
    if around is None or loans is None:
        turn = limit.ask(wake, gone)
        return None if turn is None else Footing(limit, turn, None)
    turn = limit.take(gone)
    if turn is not None:
        around.leave()
        return Footing(limit, turn, None)
    turn = loans.ask(wake, gone)
    if turn is None:
        around.leave()
        return None
    return Footing(loans, turn, around)
