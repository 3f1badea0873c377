"""One process of the simulated service: shipped L1, flights and flows behind simulated ports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from cacheaside.errors import Unacknowledged
from cacheaside.flow import read as reading
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Clock, Heard, Ports, Tier
from cacheaside.policy.timebase import DRIFT
from cacheaside.stores.l1.gate import Gate
from cacheaside.testing.simulator.crew import LoopCrew, ThreadCrew
from cacheaside.testing.simulator.loads import SimulatedLoads
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.promises import Promises, Versions
from cacheaside.testing.simulator.rows import Rows
from cacheaside.testing.simulator.scenario import MARK_LIFETIME_S, Scenario
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.views import (
    EVERYTHING,
    KEYED,
    NAMES,
    ROWS,
    Reading,
    View,
    hit,
    things_behind,
)
from cacheaside.testing.simulator.watched import WatchedFlights, WatchedL1
from cacheaside.types import TagId

__all__ = ["Process"]


class Process:
    """What one process holds. The world adds the tier and the log with `connect`."""

    def __init__(
        self,
        index: int,
        scheduler: Scheduler,
        rows: Rows,
        promises: Promises,
        scenario: Scenario,
        clock: Clock,
        *,
        shared: bool,
    ) -> None:
        self.index = index
        self.scheduler = scheduler
        self.rows = rows
        self.promises = promises
        self.scenario = scenario
        self.clock = clock
        self.shared = shared
        self.inexact = 2 * DRIFT if shared else 0.0
        """By what part of a time it may be told wrongly: every clock drifts."""
        self.blur_s = 1e-5 if shared else 1e-9
        """By how much more, whatever the time."""
        self.marks = Marks(scheduler.clock, self.inexact)
        self.gate = Gate(0.0) if shared else Gate()
        self.l1 = WatchedL1(
            clock, scenario.l1_entries, scenario.l1_bytes, self.marks, self.gate, shared=shared
        )
        self.flights = WatchedFlights(scheduler)
        crew = ThreadCrew if scenario.threads else LoopCrew
        self.crew = crew(scheduler, self.flights)
        self.loads = SimulatedLoads(scheduler)
        self.loads.reading = Reading(
            scheduler, rows, scenario.slow, scenario.failing, scenario.delays_s, self._read_inside
        )
        self.say: Callable[[str], None] | None = None
        """Told of every question and answer, when a schedule is traced."""
        self.look: Callable[..., Awaitable[Any]] | None = None
        """The short way to what a shared tier holds."""
        self.calls: dict[tuple[str, int], Call] = {}
        self.hits: dict[str, Callable[[int], Awaitable[Any]]] = {}
        for name in NAMES:
            if name in scenario.views or ("outer" in scenario.views and name in ("row", "joined")):
                self._add(View(name, scenario.terms[name], scenario.timeout_s))
        keys = [key for key in self.calls if key[0] in scenario.views]
        at = int(scenario.focus_at * len(keys))
        self.keys_read = (keys[at:] + keys[:at])[: scenario.focus or None]
        """What readers ask for."""
        self.things_read = [thing for key in self.keys_read for thing in things_behind(*key)] or [0]
        self.reads_keyed = any(name == "keyed" for name, _ in self.keys_read)

    def _add(self, view: View) -> None:
        scheduler = self.scheduler
        self.l1.add_table(view.table)
        things = (
            range(ROWS) if view.kind not in ("keyed", "pair") else (KEYED if view.kind == "keyed" else 0,)
        )
        for thing in things:
            self.calls[view.kind, thing] = view.call(thing)
        calls, name = self.calls, view.kind

        async def slow(values: tuple[Any, ...]) -> Any:
            return await reading.read(calls[name, values[0]], self.ports)

        world = {
            "_entries": view.table.entries,
            "_now": self.clock.now,
            "_gate": self.gate,
            "_scope": lambda: scheduler.current.nest,
            "_slow": slow,
            "_absent": slow,
        }
        self.hits[name] = hit(self.index, name, world)

    def connect(self, tier: Tier, heard: Heard) -> None:
        """Complete the ports."""
        self.ports = Ports(
            clock=self.clock,
            near=self.l1,
            heard=heard,
            tier=tier,
            loads=self.loads,
            flights=self.flights,
            crew=self.crew,
            shared=self.shared,
            mark_lifetime_s=MARK_LIFETIME_S,
        )

    # What writers tell.

    def acknowledged(self, versions: Versions, tags: Sequence[TagId]) -> None:
        """The tier acknowledged that `tags` changed, after a commit made these versions."""
        namespace = tags[0] == EVERYTHING
        self.promises.make(versions, self.index, number=self.number_of(tags), namespace=namespace)

    def unacknowledged(self, versions: Versions, tags: tuple[TagId, ...]) -> None:
        """It did not say so, and goes on trying; where there is no tier that could fail to, it has."""
        self.acknowledged(versions, tags)

    forgets = False
    """Whether what an older history of the server vouched for is not even served within grace."""
    times_set = 0
    """How often this process knows that the server's clock was set."""

    def unnoticed_s(self, born: float, times_set: int) -> float:
        """By how much a read may take what was born then for younger than it is, since a server's clock was set; it
        knew of the first `times_set` times when it began."""
        return 0.0

    def number_of(self, tags: Sequence[TagId]) -> int:
        """The number of the latest change of `tags`, where a server numbers them."""
        return 0

    # What `Changing` asks of its host.

    @property
    def when_away(self) -> Literal["raise", "retry"]:
        """What becomes of a write that the tier does not acknowledge."""
        return "retry" if self.scenario.retries else "raise"

    @property
    def blocking_ports(self) -> Ports:
        """Not used: simulated writers await."""
        return self.ports

    def say_retried(self, error: Unacknowledged) -> None:
        """Nothing is logged."""

    def tag_ids(self, tags: Any, where: str) -> tuple[TagId, ...]:
        """Simulated writers name tags by their ids."""
        return tuple(tags)

    async def _read_inside(self, name: str, thing: int) -> Any:
        answer = await self.hits[name](thing)
        return getattr(answer, "value", answer)
