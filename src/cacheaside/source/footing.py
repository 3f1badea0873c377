"""What a load stands on: a turn of its source's limit, of its own or lent by a load around it.

A load inside a load of the same source must not wait for a turn while the outer one holds one, or as many outer
loads as there are turns would wait for each other. Nor may it go without, or a loader that gathers fifty reads would
put fifty loads on the source for its one turn. So it takes a turn if one is free, and else borrows the turn of the load
around it, which waits for it meanwhile: one borrower at a time, whatever its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import RLock
from typing import Final

from cacheaside.source.limit import FOREVER, NORMAL, Ended, Limit, Turn

__all__ = ["Footing", "footing"]

BORROWERS_MAX: Final = 10_000
"""Loads inside one load that wait for its turn."""

Gone = Callable[[], bool]


class Footing:
    """A turn, and who stands on it: the load that asked for it, and those inside that borrow it or wait to.

    It is given back when the last of them is done, whoever that is: a load inside may outlive the one around it. Each
    is known by its `gone`: the limit takes the turn back when all of them are gone without having left, as after a
    signal's handler that raised: (1) a thread is granted a turn, or is about to give it back (2) the handler raises
    between two steps (3) nobody gives it back, and each time it happens the source has one turn less.
    """

    __slots__ = ("_gone", "_limit", "_loans", "_lock", "_standing", "turn", "under")

    def __init__(self, limit: Limit, turn: Turn, under: Footing | None, gone: Gone) -> None:
        self._limit = limit
        self._loans: Limit | None = None
        self._lock = RLock()
        self._gone = gone
        self._standing = [gone]
        self.turn = turn
        self.under = under
        turn.gone = self.is_gone

    def is_gone(self) -> bool:
        """Whether nobody who stands on it will ever leave."""
        return all([gone() for gone in tuple(self._standing)])  # noqa: C419 - mostly one: a generator costs more

    @property
    def is_lent(self) -> bool:
        """Whether it is a turn of a load around this one."""
        return self.under is not None

    def enter(self, gone: Gone) -> Limit | None:
        """What to ask for a loan; None when the turn has been given back already. Pair it with `end`."""
        with self._lock:
            if not self._standing:
                return None
            self._standing.append(gone)
            if self._loans is None:
                self._loans = Limit(1, BORROWERS_MAX)
            return self._loans

    def give_up(self) -> None:
        """Its turn was waited for as long as it may be: it is refused, unless it has just been granted."""
        self._limit.give_up(self.turn)

    def hurry(self, priority: int) -> None:
        """While its turn is waited for: somebody of this priority waits too."""
        self._limit.hurry(self.turn, priority)

    def leave(self, ended: Ended = Ended.NOTHING, kind: Hashable = None) -> None:
        """The load that it was made for is done, or waits no longer. ended, kind: as `Limit.give_back` has them."""
        self.end(self._gone, ended, kind)

    def end(self, gone: Gone, ended: Ended = Ended.NOTHING, kind: Hashable = None) -> None:
        """One of those who stand on it is done."""
        with self._lock:
            standing = self._standing
            if gone in standing:
                standing.remove(gone)
            if standing:
                return
        self._limit.give_back(self.turn, ended, kind)
        if self.under is not None:
            self.under.end(self._gone)


def footing(
    limit: Limit,
    around: Footing | None,
    wake: Callable[[], bool],
    gone: Gone,
    priority: int = NORMAL,
    weight: int = 1,
    *,
    deadline: float = FOREVER,
    repeats: bool = False,
) -> Footing:
    """A footing whose turn is granted, or will be granted or refused by `wake`, or is refused.

    around: the footing of the nearest load around this one that is of the same source. gone: a function of its own for
    each load. The rest is as `Limit.ask` has it; who borrows a turn waits for it without a deadline.
    """
    loans = None if around is None else around.enter(gone)
    if around is None or loans is None:
        turn = limit.ask(wake, gone, priority, weight, deadline=deadline, repeats=repeats)
        return Footing(limit, turn, None, gone)
    turn_now = limit.take(gone, priority, weight)
    if turn_now is not None:
        around.end(gone)
        return Footing(limit, turn_now, None, gone)
    return Footing(loans, loans.ask(wake, gone), around, gone)
