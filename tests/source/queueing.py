"""A source as a queueing model under virtual time, and load that is offered to it through a limit.

The source works on `servers` loads at once; beyond that they share it, and get into each other's way: with twice as
many loads as servers, `thrash` of its work is lost. Each load needs an amount of work drawn from a lognormal
distribution. It is an event simulation: between two events each load progresses at the same, known rate.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.limit import Ended, Limit, Turn

SPREAD = 0.6
"""Sigma of the lognormal work: its 99th percentile is four times the median."""


@dataclass
class Phase:
    """From `at_s` on the source has `servers`, and a load nearly alone takes `mean_s`."""

    at_s: float
    servers: int
    mean_s: float


@dataclass
class Outcome:
    """What came of a run: loads answered, by second; the most under way at once; the limit over time."""

    answered: int = 0
    by_phase: list[int] = field(default_factory=list)
    peak: int = 0
    waiting_peak: int = 0
    refused: int = 0
    given_by_priority: dict[int, int] = field(default_factory=dict)
    limits: list[tuple[float, float]] = field(default_factory=list)
    took_s: float = 0.0


class Queueing:
    """One run. Open arrivals at `offered` a second, each of which asks `limit` for a turn, with what `chosen` says."""

    def __init__(
        self,
        make: Callable[[Callable[[], float]], Limit],
        phases: list[Phase],
        *,
        seed: int,
        offered: float,
        until_s: float,
        thrash: float = 0.3,
        timeout_s: float = 1.0,
        patience_s: float = 0.5,
        priorities: tuple[float, float, float] = (0.0, 1.0, 0.0),
    ) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.limit = make(lambda: self.now)
        self.phases = phases
        self.offered = offered
        self.until_s = until_s
        self.thrash = thrash
        self.timeout_s = timeout_s
        self.patience_s = patience_s
        self.priorities = priorities
        self.done = 0.0
        """Work that each load which was there all the time has had, in seconds of a server of its own."""
        self.running: list[tuple[float, int, Turn]] = []
        self.began: dict[int, float] = {}
        self.count = 0
        self.outcome = Outcome(by_phase=[0] * len(phases))

    def _phase(self) -> int:
        return max(i for i, phase in enumerate(self.phases) if phase.at_s <= self.now)

    def _rate(self) -> float:
        n, phase = len(self.running), self.phases[self._phase()]
        if n <= phase.servers:
            return 1.0 / phase.mean_s
        over = (n - phase.servers) / phase.servers
        return phase.servers / n / (1.0 + self.thrash * over) / phase.mean_s

    def run(self) -> Outcome:
        arrival = 0.0
        changes = [phase.at_s for phase in self.phases[1:]] + [math.inf]
        while self.now < self.until_s:
            rate = self._rate()
            ends = self.now + (self.running[0][0] - self.done) / rate if self.running else math.inf
            at = min(arrival, ends, changes[0], self.until_s)
            self.done += (at - self.now) * rate
            self.now = at
            if at == changes[0]:
                changes.pop(0)
            elif at == ends:
                self._end()
            elif at == arrival:
                self._arrive()
                arrival += self.chance.expovariate(self.offered)
        self.outcome.refused = self.limit.refused
        self.outcome.waiting_peak = self.limit.waiting_peak
        self.outcome.given_by_priority = dict(enumerate(self.limit.given))
        return self.outcome

    def _arrive(self) -> None:
        priority = self.chance.choices((0, 1, 2), self.priorities)[0]
        turn: Turn

        def wake() -> bool:
            if turn.granted:
                self._begin(turn)
            return True

        turn = self.limit.ask(wake, priority=priority, deadline=self.now + self.patience_s)
        if turn.granted:
            self._begin(turn)

    def _begin(self, turn: Turn) -> None:
        self.count += 1
        work = self.chance.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)
        heapq.heappush(self.running, (self.done + work, self.count, turn))
        self.began[self.count] = self.now
        self.outcome.peak = max(self.outcome.peak, len(self.running))

    def _end(self) -> None:
        _, number, turn = heapq.heappop(self.running)
        took_s = self.now - self.began.pop(number)
        late = took_s > self.timeout_s
        if not late:
            self.outcome.answered += 1
            self.outcome.by_phase[self._phase()] += 1
        if self.limit.adaptive is not None:
            self.outcome.limits.append((self.now, self.limit.adaptive.limit))
        self.limit.give_back(turn, Ended.OVERLOADED if late else Ended.ANSWERED, "kind")


def fixed(most: int) -> Callable[[Callable[[], float]], Limit]:
    return lambda now: Limit(most, most * 16, now=now)


def adaptive(floor: int, ceiling: int) -> Callable[[Callable[[], float]], Limit]:
    return lambda now: Limit(ceiling, ceiling * 16, adaptive=AdaptiveLimit(floor, ceiling), now=now)
