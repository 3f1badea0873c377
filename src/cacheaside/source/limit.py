"""A limit on concurrent loads, shared by every thread and event loop of the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import RLock

__all__ = ["Limit", "Turn"]


def _never() -> bool:
    return False


def _woken() -> bool:
    return True


class Turn:
    """One load's wait for its turn. `granted` is final once True.

    wake: tells the load, from any thread, that its turn has come; False when nobody is there any more to hear it.
    gone: True when the load can never go on and give its turn back, as its event loop is closed.
    """

    __slots__ = ("gone", "granted", "wake")

    def __init__(self, wake: Callable[[], bool], gone: Callable[[], bool]) -> None:
        self.wake = wake
        self.gone = gone
        self.granted = False


class Limit:
    """At most `most` holders at once and `queue_max` waiting; first come, first served. No method waits.

    The lock is re-entrant: a load that is collected as garbage gives its turn back on whatever thread the collector
    runs on, perhaps one that is in here.
    """

    def __init__(self, most: int, queue_max: int) -> None:
        self.most = most
        self.queue_max = queue_max
        self.holders_peak = 0
        self.refused = 0
        self._holding: set[Turn] = set()
        self._queue: deque[Turn] = deque()
        self._asked_since_look = 0
        self._lock = RLock()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def holders(self) -> int:
        """How many have a turn."""
        return len(self._holding)

    def ask(self, wake: Callable[[], bool], gone: Callable[[], bool] = _never) -> Turn | None:
        """A turn: granted now, or later with a call of `wake` from any thread. None when the queue is full."""
        turn: Turn | None = Turn(wake, gone)
        assert turn is not None
        with self._lock:
            self._reclaim()
            called = self._advance()
            if len(self._holding) < self.most:
                self._grant(turn)
                turn.wake = _woken
            elif len(self._queue) >= self.queue_max:
                self.refused += 1
                turn = None
            else:
                self._queue.append(turn)
        self._call(called)
        return turn

    def take(self, gone: Callable[[], bool] = _never) -> Turn | None:
        """A turn that is free now and that nobody waits for, or None."""
        with self._lock:
            if self._queue or len(self._holding) >= self.most:
                return None
            turn = Turn(_woken, gone)
            self._grant(turn)
            return turn

    def give_back(self, turn: Turn) -> None:
        """End a turn, granted or not. A second time, and for a turn from before a fork, nothing happens."""
        with self._lock:
            if turn.granted:
                self._holding.discard(turn)
            elif turn in self._queue:
                self._queue.remove(turn)
            called = self._advance()
        self._call(called)

    def forget(self) -> None:
        """After a fork: the holders stayed in the parent."""
        self._lock = RLock()
        self._queue.clear()
        self._holding.clear()

    def _grant(self, turn: Turn) -> None:
        turn.granted = True
        self._holding.add(turn)
        self.holders_peak = max(self.holders_peak, len(self._holding))

    def _advance(self) -> list[Turn]:
        called = []
        while self._queue and len(self._holding) < self.most:
            turn = self._queue.popleft()
            self._grant(turn)
            called.append(turn)
        return called

    def _call(self, called: list[Turn]) -> None:
        """Wake those whose turn has come. One that cannot hear it hands the turn on."""
        for turn in called:
            heard = turn.wake()
            turn.wake = _woken  # it holds the event loop
            if not heard:
                with self._lock:
                    self._holding.discard(turn)
                    called += self._advance()

    def _reclaim(self) -> None:
        """Take the turns of loads that are gone; looked for once in `most` requests, so that it costs next to
        nothing each."""
        self._asked_since_look += 1
        if len(self._holding) < self.most or (self._queue and self._asked_since_look < self.most):
            return
        self._asked_since_look = 0
        self._holding -= {turn for turn in self._holding if turn.gone()}
