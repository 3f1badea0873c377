"""A limit on concurrent loads, shared by every thread and event loop of the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

__all__ = ["Limit", "Turn"]


class Turn:
    """One load's wait for its turn. `granted` is final once True."""

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.granted = False


def _nobody_waits() -> None:
    """Wakes nobody: the turn was granted when it was asked for."""


class Limit:
    """At most `most` holders at once and `queue_max` waiting; first come, first served. No method waits."""

    def __init__(self, most: int, queue_max: int) -> None:
        self.most = most
        self.queue_max = queue_max
        self.holders = 0
        self.holders_peak = 0
        self.refused = 0
        self._queue: deque[Turn] = deque()
        self._lock = Lock()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def ask(self, wake: Callable[[], None]) -> Turn | None:
        """A turn: granted now, or later with a call of `wake` from any thread. None when the queue is full."""
        turn = Turn(wake)
        with self._lock:
            if self.holders < self.most:
                self._grant(turn)
            elif len(self._queue) >= self.queue_max:
                self.refused += 1
                return None
            else:
                self._queue.append(turn)
        return turn

    def ask_now(self) -> Turn | None:
        """A granted turn if one is free, else None; nothing waits."""
        with self._lock:
            if self.holders >= self.most:
                return None
            turn = Turn(_nobody_waits)
            self._grant(turn)
            return turn

    def give_back(self, turn: Turn) -> None:
        """End a turn, granted or not; each exactly once."""
        with self._lock:
            if not turn.granted:
                self._queue.remove(turn)
                return
            self.holders -= 1
            nxt = None
            if self._queue and self.holders < self.most:
                nxt = self._queue.popleft()
                self._grant(nxt)
        if nxt is not None:
            nxt.wake()

    def _grant(self, turn: Turn) -> None:
        turn.granted = True
        self.holders += 1
        self.holders_peak = max(self.holders_peak, self.holders)

    def forget(self) -> None:
        """After a fork: the holders stayed in the parent."""
        self._lock = Lock()
        self._queue.clear()
        self.holders = 0
