"""Herds: many readers of one service under virtual time, over the shipped flows, and what the source bears of them.

The schedules of `world` ask whether a promise can be broken. This asks how much is loaded, how much of it at once, and
how long readers wait: a service of some processes around one server, none of which fails, with as many keys and readers
as a case asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from cacheaside.contract import Contract
from cacheaside.errors import Overloaded
from cacheaside.flow import read as reading
from cacheaside.flow import write as writing
from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flight
from cacheaside.flow.ports import Failure, Loaded, Refreshing
from cacheaside.source.limit import Limit
from cacheaside.source.pace import Pace
from cacheaside.testing.simulator.loads import SimulatedLoads
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.rows import Rows, Value
from cacheaside.testing.simulator.scenario import Scenario, Sizes, draw
from cacheaside.testing.simulator.scheduler import PARK, START_S, Scheduler
from cacheaside.testing.simulator.shared import Shared
from cacheaside.testing.simulator.views import EVERYTHING, GROUPS, THINGS, Reading, View, tag_of
from cacheaside.types import TagId

__all__ = ["Herd", "Wait"]

STEPS_MAX: Final = 20_000_000
BEHIND_MAX: Final = 256
"""Refreshes under way at once in a process, as `runtime.aio` has it."""
GROUP: Final = tag_of(GROUPS[0])
"""What every key of a herd is tagged with."""
TIMEOUT_S: Final = 30.0
QUEUE_PER_SLOT: Final = 16


@dataclass(frozen=True, slots=True)
class Wait:
    """One read: when it came, how long it took, how it was served; "overloaded" when it was refused."""

    at: float
    waited_s: float
    how: str


class _HerdView(View):
    """Any number of keys, each loaded in `load_s`."""

    def __init__(self, name: str, contract: Contract, load_s: float, herd: Herd) -> None:
        super().__init__("keyed", contract.terms, TIMEOUT_S)
        self.kind = name
        self.name = type(self.name)(name)
        self.table.name = self.name
        self._load_s = load_s
        self._herd = herd
        self._calls: dict[int, Call] = {}

    def call(self, thing: int) -> Call:
        call = self._calls.get(thing)
        if call is None:
            key = TagId(f"sim:{self.kind}({thing})")
            call = self._calls[thing] = Call(self, thing, key, (key, EVERYTHING, GROUP), (thing,), self.terms)
        return call

    async def load(self, call: Call, reading: Reading) -> Value:
        scheduler, herd = reading.scheduler, self._herd
        herd.running += 1
        herd.running_peak = max(herd.running_peak, herd.running)
        herd.loads[self.kind].append(scheduler.clock.time - START_S)
        born, step = scheduler.clock.time, scheduler.steps
        try:
            await scheduler.sleep(self._load_s)
        finally:
            herd.running -= 1
        return Value(((GROUPS[0], reading.rows.versions[GROUPS[0]]),), born, step, GROUPS[0])

    def value_tags(self, value: Value) -> tuple[TagId, ...]:
        return ()


class _HerdLoads(SimulatedLoads):
    """With the shipped limit and pace in front of the source."""

    def __init__(self, scheduler: Scheduler, limit: int, *, paced: bool) -> None:
        super().__init__(scheduler)
        self.limit = Limit(limit, limit * QUEUE_PER_SLOT)
        # Unpaced: by a limit that has room for every refresh that a process begins.
        self.pace = Pace(self.limit if paced else Limit(2 * BEHIND_MAX, 0))

    def may_refresh(self, call: Call) -> bool:
        return self.pace.free

    def refreshing(self, call: Call) -> Refreshing | None:
        return self.pace.enter(lambda: False)

    async def load(
        self,
        calls: Sequence[Call],
        *,
        in_vain: bool = False,
        repeats: bool = False,
        aboard: Sequence[Flight] = (),
    ) -> Loaded:
        wake = self._scheduler.wake()

        def woken() -> bool:
            wake()
            return True

        turn = self.limit.ask(woken, repeats=repeats)
        if not turn.granted and turn.refused is None:
            await PARK
        if turn.refused is not None:
            refused = Overloaded("full", endpoint=calls[0].key, source="herd", retry_after_s=1.0)
            return Loaded([Failure(refused)] * len(calls), {}, None, True)
        try:
            return await super().load(calls, in_vain=in_vain, repeats=repeats)
        finally:
            self.limit.give_back(turn)


@dataclass
class Herd:
    """A service of `processes` around one server; each may load `limit` at once. Time begins at 0. paced: refreshes
    take a share of that.

    loads: when loads of each view began. waits: every read of each view, in the order in which they ended.
    """

    processes: int = 1
    limit: int = 1000
    paced: bool = True
    entries: int = 100_000
    seed: int = 0
    loads: dict[str, list[float]] = field(default_factory=dict)
    waits: dict[str, list[Wait]] = field(default_factory=dict)
    running: int = 0
    running_peak: int = 0

    def __post_init__(self) -> None:
        random = Random(self.seed)
        scenario = _calm(draw("shared", random, Sizes()), self.processes, self.entries)
        self._views: dict[str, list[View]] = {}
        self.scheduler = Scheduler(random, 0.0, STEPS_MAX)
        rows = Rows(list(THINGS))
        self._shared = Shared(self.scheduler, rows, scenario, random)
        self._loads: list[_HerdLoads] = []
        self.members: Sequence[Process] = self._shared.processes
        for process in self.members:
            loads = _HerdLoads(self.scheduler, self.limit, paced=self.paced)
            self._loads.append(loads)
            loads.reading = process.loads.reading
            process.loads = loads
            process.crew.behind_max = BEHIND_MAX
            process.ports = replace(process.ports, loads=loads)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.scheduler.clock.time - START_S

    def view(self, name: str, contract: Contract, load_s: float) -> list[View]:
        """A cached function, as each process has it."""
        self.loads[name], self.waits[name] = [], []
        views = self._views[name] = []
        for process in self.members:
            view = _HerdView(name, contract, load_s, self)
            process.l1.add_table(view.table)
            views.append(view)
        return views

    def read_often(
        self,
        process: int,
        view: View,
        every_s: float,
        until_s: float,
        keys: Callable[[], int],
        first_s: float = 0,
    ) -> None:
        """A reader: one read after the other, each begun no sooner than `every_s` after the one before."""
        self.scheduler.spawn(
            self._reader(self.members[process], view, every_s, until_s, keys, first_s), "herd"
        )

    async def _reader(
        self,
        process: Process,
        view: View,
        every_s: float,
        until_s: float,
        keys: Callable[[], int],
        due: float,
    ) -> None:
        waits = self.waits[view.kind]
        await self.scheduler.sleep(due - self.now)
        while self.now < until_s:
            began, task = self.now, self.scheduler.current
            task.boards.clear()  # they are counted for each read
            task.aboard.clear()
            try:
                found = await reading.read(view.call(keys()), process.ports)
                how = str(found.served)
            except Overloaded:
                how = "overloaded"
            waits.append(Wait(began, self.now - began, how))
            due = max(due + every_s, self.now)
            await self.scheduler.sleep(due - self.now)

    def invalidate_all(self, at_s: float) -> None:
        """Have the first process invalidate what all keys are tagged with."""
        self.scheduler.spawn(self._invalidate(at_s), "writer")

    async def _invalidate(self, at_s: float) -> None:
        await self.scheduler.sleep(at_s - self.now)
        await writing.invalidate((GROUP,), self.members[0].ports)

    def run(self) -> None:
        """To the end."""
        try:
            self.scheduler.run()
            for task in self.scheduler.tasks:
                if task.error is not None:
                    raise task.error
        finally:
            self.scheduler.close()

    # What came of it.

    @property
    def refreshes_peak(self) -> int:
        """The most refreshes at once in one process."""
        return max(loads.pace.peak for loads in self._loads)

    def refreshes_failed(self, name: str) -> int:
        """Refreshes of a view that failed, in all processes."""
        return sum(view.tally.refreshes_failed for view in self._views[name])

    def waited_s(self, name: str, share: float = 1.0, *, since: float = 0.0) -> float:
        """How long a read of a view took at most, but for the slowest: `share` of them were as fast."""
        found = sorted(one.waited_s for one in self.waits[name] if one.at >= since)
        return found[max(0, min(len(found) - 1, int(len(found) * share)))]

    def how(self, name: str, *, since: float = 0.0) -> Counter[str]:
        """How reads of a view were served."""
        return Counter(one.how for one in self.waits[name] if one.at >= since)


def _calm(drawn: Scenario, processes: int, entries: int) -> Scenario:
    """Nothing fails and nothing is late."""
    calm: dict[str, Any] = {
        "views": (), "threads": False, "before": False, "after": False, "slow": 0.0, "failing": 0.0, "cancels": 0,
        "stops": 0, "kills": 0, "l1_entries": entries, "l1_bytes": 1 << 34, "unavailable": 0.0, "lag": 0.0,
        "behind_steps": 1, "evictions": 0, "processes": processes, "max_unsynced_s": 2.0, "beat_s": 0.5, "drift": 0.0,
        "ahead_s": 0.0, "generation_s": 36_000.0, "connected": True, "blind": False, "tells_identity": True,
        "on_failover": "distrust", "wait_replicas": 0, "retries": False, "cuts": 0, "stalls": 0, "flushes": 0,
        "fillings": 0, "marks_evicted": 0, "failovers": 0, "clock_steps": 0, "timed": 0.0, "hurry": 0.0,
    }  # fmt: skip
    return replace(drawn, **calm)
