"""The clocks of a simulated service: none of them is right, and none is set alike."""

from __future__ import annotations

from cacheaside.testing.simulator.scheduler import START_S, Clock

__all__ = ["ProcessClock", "ServerClock"]


class ProcessClock:
    """A process's monotonic clock: it began anywhere, and drifts. Implements `flow.ports.Clock`."""

    __slots__ = ("_began_s", "_rate", "_true")

    def __init__(self, true: Clock, began_s: float, drift: float) -> None:
        self._true = true
        self._began_s = began_s
        self._rate = 1.0 + drift

    def now(self) -> float:
        return self._began_s + (self._true.time - START_S) * self._rate


class ServerClock:
    """A server's wall clock: it drifts, and may be set."""

    __slots__ = ("_ahead_s", "_rate", "_true")

    def __init__(self, true: Clock, ahead_s: float, drift: float) -> None:
        self._true = true
        self._ahead_s = ahead_s
        self._rate = 1.0 + drift

    def now(self) -> float:
        """What it says, in seconds."""
        return START_S + self._ahead_s + (self._true.time - START_S) * self._rate

    @property
    def true_s(self) -> float:
        """The right time."""
        return self._true.time

    def set(self, by_s: float) -> None:
        """It is set forward, or back, by so much."""
        self._ahead_s += by_s
