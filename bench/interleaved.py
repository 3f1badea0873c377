"""Times many statements in one run, so that the ratios between them hold on a noisy machine.

- Every case runs once a round, in a new random order each round, drawn from a printed seed. A slow phase of the
  machine then falls on all cases alike, and the median over the rounds drops it.
- Each case has a loop compiled for it alone. The interpreter specialises a call site for what it sees there; one
  loop shared by all the cases would be specialised for none of them.
- Each asynchronous case has an event loop of its own, so that background work of one cache is not timed with another.
- The garbage collector stays on, because users run with it on; what was built before the timing is out of its reach.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import Any

from bench.rows import Table, TimedRow

WARM_CALLS = 200
"""Before calibration: enough for the interpreter to specialise what the statement runs through."""


@dataclass(slots=True)
class Calls:
    """How often a loader ran; every case counts its own."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """A case that was built, and shown to give the right value."""

    names: Mapping[str, Any]
    """What the statement may name."""
    loads: Calls
    loads_per_call: int
    """0 for a hit and for a floor, 1 for a miss: checked again after the timing."""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One row to be timed. `prepare` builds it and raises `WrongAnswer` when what it builds does not answer right."""

    table: Table
    name: str
    statement: str
    prepare: Callable[[], Ready | Awaitable[Ready]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Seed, rounds, and how long one case runs in one round."""

    seed: int
    rounds: int
    batch_s: float


class WrongAnswer(AssertionError):
    """A row would have been timed that does not do its job: a wrong value, or a load too many or too few."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise WrongAnswer(what)


class _Running:
    """A case under measurement: its event loop, its compiled loop, and what it took."""

    def __init__(self, case: Case, batch_s: float) -> None:
        self.case = case
        self.loop = asyncio.new_event_loop()
        prepared = case.prepare()
        self.ready = self._wait(prepared) if inspect.isawaitable(prepared) else prepared
        self.loads_before = self.ready.loads.count
        self.calls = 0
        self.taken_ns: list[float] = []
        self._body = compiled(case, self.ready.names)
        self.time(WARM_CALLS)
        self.number = max(20, int(WARM_CALLS * batch_s / max(self.time(WARM_CALLS), 1e-9)))

    def time(self, number: int) -> float:
        """Seconds that `number` executions of the statement took."""
        self.calls += number
        result = self._body(number)
        taken_s: float = self._wait(result) if inspect.isawaitable(result) else result
        return taken_s

    def round(self) -> None:
        self.taken_ns.append(self.time(self.number) / self.number * 1e9)

    def close(self) -> None:
        """Check that what was timed was what the row says."""
        if tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self._wait(asyncio.wait(tasks))
        self.loop.close()
        loads = self.ready.loads.count - self.loads_before
        expected = self.ready.loads_per_call * self.calls
        require(
            loads == expected,
            f"{self.case.table.title}, {self.case.name}: {loads} loads in {self.calls} calls, expected {expected}",
        )

    def _wait(self, awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.loop.run_until_complete(wait())


def compiled(case: Case, names: Mapping[str, Any]) -> Callable[[int], Any]:
    """A function that runs the statement n times and returns the seconds; a coroutine function for async cases."""
    source = (
        f"{'async ' if case.table.is_async else ''}def body(n, clock, repeat, {', '.join(names)}):\n"
        f"    start = clock()\n"
        f"    for _ in repeat(None, n):\n"
        f"        {case.statement}\n"
        f"    return clock() - start\n"
    )
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    body = namespace["body"]
    return lambda n: body(n, time.perf_counter, repeat, *names.values())


def time_cases(cases: list[Case], plan: Plan, progress: Callable[[str], None]) -> list[TimedRow]:
    """Time all the cases, interleaved. The rows come in the order of the cases, not yet net of the empty loop."""
    progress(f"building and checking {len(cases)} rows")
    running = [_Running(case, plan.batch_s) for case in cases]
    rng = random.Random(plan.seed)
    for number in range(plan.rounds):
        progress(f"timing, round {number + 1} of {plan.rounds}")
        gc.collect()
        gc.freeze()
        for one in rng.sample(running, len(running)):
            one.round()
    gc.unfreeze()
    for one in running:
        one.close()
    return [
        TimedRow(
            table=one.case.table,
            name=one.case.name,
            median_ns=median(one.taken_ns),
            min_ns=min(one.taken_ns),
            calls=one.calls,
            remark=one.ready.remark,
        )
        for one in running
    ]
