"""The clocks of a simulated service: none of them is right, and none is set alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.testing.simulator.scheduler import START_S, Clock

__all__ = ["BLUR_S", "ProcessClock", "ServerClock", "Times"]

BLUR_S: Final = 0.03
"""A step of a clock that is no larger may stay unnoticed: no reading is exact."""


TICK_S: Final = 1e-9
"""By so much a process's clock goes on with each look at it: what came later is later, though no time has passed."""


class ProcessClock:
    """A process's monotonic clock: it began anywhere, and drifts. Implements `flow.ports.Clock`."""

    __slots__ = ("_began_s", "_rate", "_true")

    def __init__(self, true: Clock, began_s: float, drift: float) -> None:
        self._true = true
        self._began_s = began_s
        self._rate = 1.0 + drift

    def now(self) -> float:
        self._began_s += TICK_S
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

    clock_set: when, in true time, and by how much. failovers: which of those times another server took over, which may
    have lost that everything was forgotten after an earlier one. tells: whether processes are told of that.
    """

    def __init__(
        self,
        clock: Clock,
        clock_set: Sequence[tuple[float, float]],
        failovers: Sequence[int],
        processes: int,
        *,
        tells: bool,
    ) -> None:
        self._clock = clock
        self._set = clock_set
        self._failovers = failovers
        self._tells = tells
        self._known: list[int | None] = [None] * processes
        self._unseen: list[set[int]] = [set() for _ in range(processes)]
        self._settled: list[float] = []

    def knows(self, process: int, times: int) -> int:
        """Of how many times a process knows, now that it has taken in what the clock said after so many. Of
        several at once it has only seen the sum, and nothing of those before the first time."""
        known = self._known[process]
        if known is None or times > known + 1:
            self._unseen[process].update(range(known or 0, times))
        self._known[process] = times if known is None else max(known, times)
        everybody = min(known or 0 for known in self._known)
        while len(self._settled) < everybody:
            self._settled.append(self._clock.time)
        return self._known[process] or 0

    def unnoticed_s(self, process: int, born: float, known: int) -> float:
        """By how much a read of a process that knew of `known` times may take what was read from the source at `born`
        for younger than it is.

        By what it has not noticed, or cannot. By what it has not seen, while it did not listen: of what was stored
        before. And by a step back: of what others stored who had not noticed, and when that it was forgotten may be
        lost.
        """
        unseen = self._unseen[process]
        by_s = 0.0
        for number, (at, step_s) in enumerate(self._set):
            if number >= known or abs(step_s) <= BLUR_S:
                by_s += abs(step_s)
            elif step_s < 0:
                settled = self._settled[number] if number < len(self._settled) else born
                lost = any(over > number and (over >= known or not self._tells) for over in self._failovers)
                if (number in unseen and born <= at) or at <= born <= settled or lost:
                    by_s -= step_s
        return by_s
