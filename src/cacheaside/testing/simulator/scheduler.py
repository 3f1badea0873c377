"""Steps coroutines by hand: a seeded choice picks who goes next, and time moves only when the schedule says so.

A coroutine suspends in one of three ways. `await POINT`: anybody may go next, and it may be cancelled here.
`await STEADY`: anybody may go next, and it may not be cancelled (a thread can lose the processor where no task can be
cancelled). `await PARK`: it goes on when it is woken.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, Final

from cacheaside.flow.flights import Flight
from cacheaside.source.nest import OpenNest
from cacheaside.types import TagId

__all__ = [
    "PARK",
    "POINT",
    "START_S",
    "STEADY",
    "Cancelled",
    "Clock",
    "Livelock",
    "Scheduler",
    "Task",
    "Wake",
]

START_S: Final = 1000.0
STEPS_MAX: Final = 50_000
"""Steps of one schedule before it counts as going round in a circle."""
SHORTEST_S: Final = 1e-6
"""No wait is shorter: one that does not move the clock would be no wait."""
LONGEST_S: Final = 600.0
"""How long a schedule may take, in virtual time, before somebody in it counts as waiting for ever."""


class Cancelled(BaseException):
    """Thrown into a task that is cancelled."""


class Livelock(Exception):
    """A schedule that does not end."""


class _Signal(tuple[Any, ...]):
    """Awaiting it suspends the task once, and tells the scheduler its one item: without a frame of its own."""

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, None, None]: ...

    else:
        __await__ = tuple.__iter__


_STEADY: Final = 1
_PARKED: Final = 2
_HELD: Final = 3
POINT: Final = _Signal((None,))
STEADY: Final = _Signal((_STEADY,))
PARK: Final = _Signal((_PARKED,))
HELD: Final = _Signal((_HELD,))
"""As `PARK`, and it may not be cancelled meanwhile."""


class Clock:
    """Virtual seconds; implements `flow.ports.Clock`."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = START_S

    def now(self) -> float:
        return self.time


class Task:
    """A coroutine under way. `nest`: the load it runs inside of. `boards`: flights by key that its read was on, how
    many; `aboard`: the last of them."""

    __slots__ = (
        "aboard", "boards", "cancelled", "coroutine", "died", "done", "error", "held", "name", "nest", "parked",
        "result", "step", "waiters",
    )  # fmt: skip

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str, nest: OpenNest | None) -> None:
        self.coroutine = coroutine
        self.name = name
        self.nest = nest
        self.step: Callable[[None], Any] = coroutine.send
        self.parked = False
        self.held = False
        self.done = False
        self.died = False
        self.cancelled = False
        self.boards: dict[TagId, int] = {}
        self.aboard: dict[TagId, Flight] = {}
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiters: list[Callable[[], None]] | None = None


class Wake:
    """Wakes one wait of one task; called again, or after that wait was given up, it does nothing."""

    __slots__ = ("ready", "task")

    def __init__(self, ready: list[Task], task: Task) -> None:
        self.ready = ready
        self.task: Task | None = task

    def __call__(self) -> None:
        task = self.task
        if task is not None:
            self.task = None
            if task.parked:
                task.parked = False
                self.ready.append(task)


def _stay(_: None) -> int:
    return _PARKED


class Scheduler:
    """One schedule: its tasks, its clock, its chance. `hurry`: the weight of "time goes on" beside one ready task."""

    def __init__(self, random: Random, hurry: float, steps_max: int = STEPS_MAX) -> None:
        self.steps_max = steps_max
        self.random = random.random
        self.clock = Clock()
        self.hurry = hurry
        self.ready: list[Task] = []
        self.tasks: list[Task] = []
        self.under_way = 0
        """How many tasks have neither ended nor died: a schedule is over when nobody is left, whatever timers are."""
        self.steps = 0
        nobody = _nobody()
        nobody.close()
        self.current = Task(nobody, "nobody", None)
        self.stepped: Callable[[Task], None] | None = None
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []
        self._alarm = steps_max
        self._serial = 0

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> Task:
        """Begin a task, which inherits the load that its parent runs inside of."""
        task = Task(coroutine, name, self.current.nest)
        self.tasks.append(task)
        self.ready.append(task)
        self.under_way += 1
        return task

    def pick(self, number: int) -> int:
        """A number below `number`."""
        return int(self.random() * number)

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return share > 0 and self.random() < share

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Call `call` when the clock has reached `time`."""
        self._serial += 1
        heappush(self._timers, (time, self._serial, call))

    def after(self, steps: int, call: Callable[[], None]) -> None:
        """Call `call` when others have made so many steps, or can make no more."""
        self._serial += 1
        heappush(self._alarms, (self.steps + steps, self._serial, call))
        self._alarm = self._alarms[0][0]

    def wake(self) -> Wake:
        """What wakes the current task's next park."""
        return Wake(self.ready, self.current)

    async def sleep(self, duration_s: float) -> None:
        """Come back when that much time has passed."""
        await self.parked(Wake(self.ready, self.current), duration_s)

    async def parked(self, wake: Wake, within_s: float) -> None:
        """Come back when `wake` was called, or after so long; not when it was called already."""
        self.at(self.clock.time + max(within_s, SHORTEST_S), wake)
        try:
            await PARK
        finally:
            wake.task = None

    async def later(self, steps: int, *, steady: bool = False) -> None:
        """Come back when others have made so many steps, or can make no more: a delay that costs none."""
        if steps <= 0:
            await (STEADY if steady else POINT)
            return
        wake = Wake(self.ready, self.current)
        self.after(steps, wake)
        try:
            await (HELD if steady else PARK)
        finally:
            wake.task = None

    async def join(self, task: Task) -> Any:
        """The result of `task`, or its exception."""
        if not task.done:
            wake = Wake(self.ready, self.current)
            self.when_done(task, wake)
            try:
                await PARK
            finally:
                wake.task = None
        if task.error is not None:
            raise task.error
        return task.result

    async def ended(self, task: Task) -> None:
        """Come back when `task` has ended or was killed."""
        if not task.done and not task.died:
            wake = Wake(self.ready, self.current)
            self.when_done(task, wake)
            await PARK

    def when_done(self, task: Task, call: Callable[[], None]) -> None:
        """Call `call` when `task` has ended, however it ended."""
        if task.waiters is None:
            task.waiters = []
        task.waiters.append(call)

    def cancel(self, task: Task) -> bool:
        """Throw `Cancelled` into `task` at its next step; False when it cannot be cancelled where it is."""
        if task.done or task.held or task.died:
            return False
        task.cancelled = True
        coroutine = task.coroutine

        def throw(_: None) -> Any:
            task.step = coroutine.send
            return coroutine.throw(Cancelled())

        task.step = throw
        if task.parked:
            task.parked = False
            self.ready.append(task)
        return True

    async def cancel_soon(self, task: Task) -> None:
        """Cancel `task` as soon as it can be."""
        while not task.done and not task.died and not self.cancel(task):
            await POINT

    def kill(self, task: Task) -> None:
        """`task` takes no further step, nor cleans up: its thread or process is gone."""
        if not task.done and not task.died:
            self.under_way -= 1
        task.died = True
        task.step = _stay
        self._tell(task)

    def run(self) -> None:
        """Step until nobody is left, or nobody who could be."""
        ready, random, hurry = self.ready, self.random, self.hurry
        while self.under_way:
            if self.steps >= self._alarm:
                if self.steps >= self.steps_max:
                    raise Livelock(f"no end after {self.steps_max} steps")
                self._ring()
            number = len(ready)
            index = int(random() * (number + hurry)) if number else number
            if index < number:
                self._step(index)
            elif not number and self._alarms:
                self._ring()
            elif self._timers:
                self._advance()
            elif not number:
                return

    def interlude(self, steps_max: int) -> None:
        """In the middle of what a timer or an alarm does others take a few steps, as they do beside a thread."""
        for _ in range(self.pick(steps_max)):
            if self.ready:
                self._step(self.pick(len(self.ready)))

    def _step(self, index: int) -> None:
        self.steps += 1
        task = self.current = self.ready[index]
        if self.stepped is not None:
            self.stepped(task)
        try:
            signal = task.step(None)
        except StopIteration as end:
            task.result = end.value
            self._end(task, index)
            return
        except (Cancelled, Exception) as error:  # noqa: BLE001 - kept for whoever joins
            task.error = error
            self._end(task, index)
            return
        if signal is None:
            task.held = False
        elif signal == _STEADY:
            task.held = True
        else:
            task.held = signal == _HELD
            task.parked = True
            last = self.ready.pop()
            if last is not task:
                self._refill(index, last, task)

    def _refill(self, index: int, last: Task, task: Task) -> None:
        # `task` may have made others ready during its step, but it stands where it stood.
        assert self.ready[index] is task
        self.ready[index] = last

    def _end(self, task: Task, index: int) -> None:
        task.done = True
        self.under_way -= not task.died
        last = self.ready.pop()
        if last is not task:
            self._refill(index, last, task)
        self._tell(task)

    def _tell(self, task: Task) -> None:
        if task.waiters is not None:
            for wake in task.waiters:
                wake()

    def _ring(self) -> None:
        if self._alarms:
            heappop(self._alarms)[2]()
        self._alarm = self._alarms[0][0] if self._alarms else self.steps_max

    def _advance(self) -> None:
        time, _, call = heappop(self._timers)
        if time > self.clock.time:
            self.clock.time = time
            if time > START_S + LONGEST_S:
                raise Livelock(f"no end after {LONGEST_S:g} s")
        call()

    def close(self) -> None:
        """Drop what is left, so that no coroutine is reported as never awaited."""
        for task in self.tasks:
            if not task.done:
                task.nest = None
                _close(task.coroutine)


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    try:
        coroutine.close()
    except BaseException:  # noqa: BLE001 - a killed task that wants to clean up is too late, whatever it says
        return


async def _nobody() -> None:
    return
