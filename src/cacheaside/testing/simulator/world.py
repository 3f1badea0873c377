"""One schedule: a world built from a seed, run to its end, and looked at once more."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from cacheaside.testing.simulator import gremlins
from cacheaside.testing.simulator.books import check_books
from cacheaside.testing.simulator.embedded import PointedTier, WatchedHeard
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.promises import Promises
from cacheaside.testing.simulator.readers import Counts, epilogue, reader
from cacheaside.testing.simulator.rows import Rows
from cacheaside.testing.simulator.scenario import Scenario, Sizes, WorldName, draw
from cacheaside.testing.simulator.scheduler import STEPS_MAX, Cancelled, Livelock, Scheduler, Task
from cacheaside.testing.simulator.shared import Shared
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.views import THINGS
from cacheaside.testing.simulator.writers import writer

__all__ = ["World", "run_seed"]

STEPS_A_READ: Final = 200


class World:
    """What one seed makes."""

    def __init__(self, name: WorldName, seed: int, sizes: Sizes, counts: Counts) -> None:
        random = Random(seed)
        self.scenario = draw(name, random, sizes)
        self.scheduler = Scheduler(random, self.scenario.hurry, _steps_max(self.scenario))
        self.rows = Rows(list(THINGS))
        self.counts = counts
        self.processes: Sequence[Process]
        self.shared: Shared | None = None
        if name == "embedded":
            self.processes = _embedded(self.scheduler, self.rows, self.scenario)
            self.promises = self.processes[0].promises
        else:
            self.shared = Shared(self.scheduler, self.rows, self.scenario, random)
            self.processes, self.promises = self.shared.processes, self.shared.promises
        self._people()

    def _people(self) -> None:
        scenario, scheduler, counts = self.scenario, self.scheduler, self.counts
        processes = self.processes

        def anywhere() -> Process:
            return processes[scheduler.pick(len(processes))]

        readers = [
            scheduler.spawn(reader(anywhere(), counts), f"reader {i + 1}") for i in range(scenario.readers)
        ]
        writers = [
            scheduler.spawn(writer(anywhere(), counts), f"writer {i + 1}") for i in range(scenario.writers)
        ]
        for process in processes:
            at_once = process is processes[0]
            scheduler.spawn(
                epilogue(process, readers + writers, counts, at_once=at_once), "reader at the end"
            )
        for _ in range(scenario.cancels):
            scheduler.spawn(gremlins.canceller(scheduler, readers + writers), "canceller")
        for _ in range(scenario.kills):
            scheduler.spawn(gremlins.killer(scheduler, writers), "killer")
        if scenario.stops and not scenario.threads:
            scheduler.spawn(gremlins.stopper(scheduler, counts, _is_fill), "stopper")

    def run(self) -> None:
        """Run to the end; a `Violation` when a promise was broken."""
        try:
            self.scheduler.run()
            self._ended()
        except Livelock as error:
            raise Violation("stuck", str(error)) from None
        finally:
            self.scheduler.close()

    def _ended(self) -> None:
        for task in self.scheduler.tasks:
            if not task.done and not task.died:
                raise Violation("stuck", f"{task.name} waits for ever")
            if task.error is not None:
                _ended_well(task, task.error)
        for process in self.processes:
            if len(process.flights):
                raise Violation("flight", f"{len(process.flights)} flights are still open when all is over")
            tables = [process.l1.table_of(call) for call in process.calls.values()]
            unique = list({id(table): table for table in tables}.values())
            check_books(process.l1, unique, self.scenario.l1_entries, self.scenario.l1_bytes)


def _steps_max(scenario: Scenario) -> int:
    return STEPS_MAX + STEPS_A_READ * scenario.readers * scenario.reads


def _is_fill(task: Task) -> bool:
    return task.name.startswith("fill")


def _ended_well(task: Task, error: BaseException) -> None:
    if isinstance(error, Cancelled):
        if not task.cancelled:
            raise Violation("error", f"{task.name} was cancelled by somebody else's cancellation")
    elif task.name.startswith(("reader", "writer", "refresh", "fill")):
        raise Violation("broken", f"{task.name} ended with {error!r}") from error


def _embedded(scheduler: Scheduler, rows: Rows, scenario: Scenario) -> list[Process]:
    promises = Promises(scheduler.clock, len(THINGS))
    process = Process(0, scheduler, rows, promises, scenario, scheduler.clock, shared=False)
    tier = PointedTier(process.l1, scheduler, process.marks, scenario)
    heard = WatchedHeard(process.l1, tier, scheduler.clock, process.flights, process.marks, scheduler)
    process.connect(tier, heard)
    return [process]


def run_seed(name: WorldName, seed: int, sizes: Sizes, counts: Counts) -> Any:
    """One schedule; the `Violation` that it found, or None."""
    counts.hard = False
    world = World(name, seed, sizes, counts)
    try:
        world.run()
    except Violation as found:
        return found
    finally:
        counts.schedules += 1
        counts.steps += world.scheduler.steps
    return None
