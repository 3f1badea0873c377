"""A source of a known capacity: what it takes at once, how long a query takes, and what overload does to it. Pure.

Queries share the source as jobs share a processor (Kleinrock, "Time-shared Systems", JACM 1967): up to `slots` of them
each run at full speed; beyond that they share what the slots do. Overload makes it worse than sharing: of n queries,
each one too many costs the others some of their time, as in the Universal Scalability Law (Gunther, "Guerrilla Capacity
Planning", 2007): locks that are waited for, caches that no longer hold, contexts that are switched. So goodput falls
where load rises, which is what keeps a metastable failure alive (Bronson et al., HotOS 2021).

A query whose caller has gone is run to its end all the same, as most databases do.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

__all__ = ["Capacity", "Sharing"]

_GOLDEN: Final = 0.6180339887498949
"""Its multiples, of which only the fraction counts, are spread evenly: work that varies, and no chance in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a source is stated to bear.

    slots: queries at once that do not hinder each other. service_s: how long one takes then, at the mean: queries are
    not alike, and take from half as long to half as long again.
    contention: the share of its throughput that each further set of `slots` queries costs.
    running_max: it refuses more than that, as a database that is out of connections.
    """

    slots: int = 8
    service_s: float = 0.1
    contention: float = 0.1
    running_max: int = 2_000

    @property
    def per_s(self) -> float:
        """Queries a second, when as many run as there are slots."""
        return self.slots / self.service_s

    def throughput(self, running: int) -> float:
        """Queries a second while so many run."""
        if running <= self.slots:
            return running / self.service_s
        return self.per_s / (1.0 + self.contention * (running - self.slots) / self.slots)


class Sharing:
    """The queries under way. Told the time, it says which are done; it asks no clock and runs nothing.

    slowness: how many times longer everything takes, now.
    """

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.done = 0
        self.refused = 0
        self._slowness = 1.0
        self._served = 0.0  # of each query that has been here all the time, in queries
        self._at = 0.0
        self._ends: list[tuple[float, int]] = []
        self._serial = 0

    def __len__(self) -> int:
        """How many run."""
        return len(self._ends)

    def slow_down(self, now: float, slowness: float) -> None:
        """From `now` on everything takes `slowness` times as long. What is due by then is to be taken first."""
        self._advance(now)
        self._slowness = slowness

    def arrive(self, now: float) -> int | None:
        """A query begins; its number. None: refused. What is due by then is to be taken first."""
        if len(self._ends) >= self.capacity.running_max:
            self.refused += 1
            return None
        self._advance(now)
        self._serial += 1
        heappush(self._ends, (self._served + 0.5 + self._serial * _GOLDEN % 1.0, self._serial))
        return self._serial

    def due(self) -> float | None:
        """When the next one ends if none arrives meanwhile."""
        if not self._ends:
            return None
        return self._at + max(0.0, self._ends[0][0] - self._served) / self._rate()

    def take(self, now: float) -> list[int]:
        """The numbers of those that ended by `now`, in order."""
        ended = []
        while (due := self.due()) is not None and due <= now:
            self._served = max(self._served, self._ends[0][0])
            self._at = max(self._at, due)
            ended.append(heappop(self._ends)[1])
        self.done += len(ended)
        return ended

    def _rate(self) -> float:
        """How much of one query is done in a second."""
        running = len(self._ends)
        return self.capacity.throughput(running) / running / self._slowness

    def _advance(self, now: float) -> None:
        if self._ends and now > self._at:
            self._served += (now - self._at) * self._rate()
        self._at = max(self._at, now)
