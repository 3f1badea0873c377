"""What one side's processes said so far, by stages of the run. Pure bookkeeping."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from cacheaside.demo.history import Served
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Failure, LoadPulse, ServicePulse

__all__ = ["Gathered", "StageLog", "Totals"]


@dataclass(slots=True)
class StageLog:
    """What happened in the stages of one name. spans: from when to when each lasted; the last may still go on.

    watched: what the check of a part of the answers has found so far.
    """

    name: str
    spans: list[tuple[float, float | None]] = field(default_factory=list)
    answers: list[Served] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    watched: Findings = field(default_factory=Findings)

    def seconds(self, now: float) -> float:
        """How long it lasted so far."""
        return sum((now if ended is None else ended) - began for began, ended in self.spans)


class _Count:
    """A counter that was read now and then; between two readings it is taken to have grown evenly."""

    def __init__(self) -> None:
        self._at = [0.0]
        self._counts = [0]

    def read(self, at: float, count: int) -> None:
        """It stood at `count` at the moment `at`."""
        self._at.append(at)
        self._counts.append(count)

    def at(self, moment: float) -> float:
        """What it stood at."""
        place = bisect_right(self._at, moment)
        if place == len(self._at):
            return self._counts[-1]
        before, after = self._at[place - 1], self._at[place]
        share = (moment - before) / (after - before) if place > 1 else 0.0
        return self._counts[place - 1] + share * (self._counts[place] - self._counts[place - 1])


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything since the beginning, of all processes. requests: answered so far. services: the last pulse of each."""

    requests: int
    answers: Sequence[Served]
    failures: Sequence[Failure]
    absent: int
    overlapping: int
    span_s: float
    services: Sequence[ServicePulse]
    read_s: Sequence[float]


class Gathered:
    """Told of stages and pulses as they come."""

    def __init__(self) -> None:
        self.stages: dict[str, StageLog] = {}
        self.rates: list[float] = []
        """Answers per second, a number for each pulse of the load."""
        self.clock: float | None = None
        """The time of the replayed day."""
        self._begun: list[float] = []
        self._logs: list[StageLog] = []
        self._answers: list[Served] = []
        self._failures: list[Failure] = []
        self._absent = 0
        self._overlapping = 0
        self._span_s = 0.0
        self._services: dict[int, ServicePulse] = {}
        self._queries: dict[int, _Count] = {}
        self._read_s: list[float] = []

    @property
    def current(self) -> StageLog | None:
        """The stage that was begun last."""
        return self._logs[-1] if self._logs else None

    def begin(self, name: str, at: float) -> None:
        """A stage begins, and the one before it ends unless it has."""
        self.end(at)
        log = self.stages.setdefault(name, StageLog(name))
        log.spans.append((at, None))
        self._begun.append(at)
        self._logs.append(log)

    def end(self, at: float) -> None:
        """The stage is over."""
        if self._logs and self._logs[-1].spans[-1][1] is None:
            began, _ = self._logs[-1].spans[-1]
            self._logs[-1].spans[-1] = (began, at)

    def stage_at(self, moment: float) -> StageLog:
        """The stage that a request belongs to which started then."""
        return self._logs[max(0, bisect_right(self._begun, moment) - 1)]

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""
        self._answers += pulse.served
        self._failures += pulse.failures
        self._absent += pulse.absent
        self._overlapping += pulse.overlapping
        self._span_s += pulse.span_s
        if pulse.span_s:
            self.rates.append(len(pulse.served) / pulse.span_s)
        for one in pulse.served:
            self.stage_at(one.started_at).answers.append(one)
        for failure in pulse.failures:
            self.stage_at(failure.started_at).failures.append(failure)

    def service_pulse(self, process: int, pulse: ServicePulse) -> None:
        """The report of the service's process of that number."""
        self.clock = pulse.clock
        self._services[process] = pulse
        self._queries.setdefault(process, _Count()).read(pulse.at, pulse.queries)
        self._read_s += pulse.read_s

    @property
    def owed(self) -> int:
        """Tags whose invalidation the shared tier has yet to acknowledge, over all processes."""
        return sum(pulse.owed for pulse in self._services.values())

    def queries(self, log: StageLog, now: float) -> float:
        """SELECTs that reached the database in the stages of one name."""
        return sum(
            count.at(now if ended is None else ended) - count.at(began)
            for count in self._queries.values()
            for began, ended in log.spans
        )

    @property
    def answers(self) -> Sequence[Served]:
        """All answers so far."""
        return self._answers

    def totals(self, *, latest: int | None = None) -> Totals | None:
        """Everything so far, or its latest answers and reads alone; None before all were heard of."""
        if not self._answers or not self._services:
            return None
        last = slice(None if latest is None else -latest, None)
        return Totals(
            requests=len(self._answers),
            answers=self._answers[last],
            failures=list(self._failures),
            absent=self._absent,
            overlapping=self._overlapping,
            span_s=self._span_s,
            services=[self._services[number] for number in sorted(self._services)],
            read_s=self._read_s[last],
        )
