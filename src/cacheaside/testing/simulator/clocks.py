"""The clocks of a simulated service: none of them is right, and none is set alike."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside.testing.simulator.scheduler import START_S, Clock

__all__ = ["ProcessClock", "ServerClock", "Times"]


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


class Times:
    """How often the server's clock was set, and who knows of it: by how much an age may be told wrongly until then.

    clock_set: when, in true time, and by how much.
    """

    def __init__(self, clock: Clock, clock_set: Sequence[tuple[float, float]], processes: int) -> None:
        self._clock = clock
        self._set = clock_set
        self._first: list[int | None] = [None] * processes
        self._known = [0] * processes
        self._settled: list[float] = []

    def knows(self, process: int, times: int) -> None:
        """A process has taken in what the clock said after it was set for the last of so many times."""
        if self._first[process] is None:
            self._first[process] = times
        self._known[process] = max(self._known[process], times)
        everybody = min(self._known)
        while len(self._settled) < everybody:
            self._settled.append(self._clock.time)

    def unnoticed_s(self, process: int, born: float) -> float:
        """By how much a process may take what was read from the source at `born` for younger than it is.

        By what it has not noticed. By what it has never seen, since it came later: of what was stored before. And by a
        step back, of what others stored who had not noticed.
        """
        first, known = self._first[process], self._known[process]
        by_s = 0.0
        for number, (at, step_s) in enumerate(self._set):
            if number >= known:
                by_s += abs(step_s)
            elif step_s < 0 and first is not None:
                settled = self._settled[number] if number < len(self._settled) else born
                if (number < first and born <= at) or at <= born <= settled:
                    by_s -= step_s
        return by_s
