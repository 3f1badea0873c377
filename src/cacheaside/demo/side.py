"""One side of the comparison: its service processes and its load, from their start to the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final, Protocol, Self

from cacheaside import Contract
from cacheaside.demo import catalog
from cacheaside.demo.children import Child
from cacheaside.demo.embedded import Embedded
from cacheaside.demo.gathered import Gathered, Totals
from cacheaside.demo.messages import (
    Begin,
    Connect,
    End,
    FromLoad,
    FromService,
    Listening,
    LoadPulse,
    Report,
    Rest,
    ServicePulse,
    TurnEnded,
)
from cacheaside.demo.options import Settings
from cacheaside.demo.promises import Allowance, Promises
from cacheaside.demo.records import Watch, whole_history
from cacheaside.demo.stages import Stage, Turn, seconds_of
from cacheaside.demo.verdict import SideReport, judged

__all__ = ["Side", "Stages"]

_WATCHED_PER_PULSE_MAX: Final = 200


def _allowance(contract: Contract) -> Allowance:
    terms = contract.terms
    return Allowance(terms.stale_after_invalidation_s, terms.ttl_s + terms.grace_s)


_ALLOWANCES: Final = {
    "flight": _allowance(catalog.STATUS),
    "board": _allowance(catalog.BOARD),
    "plane": _allowance(catalog.STATUS),
}


class Stages(Protocol):
    """What is told of a side while it has its turn."""

    def stage(self, stage: Stage) -> None:
        """A stage begins."""

    def stage_ends(self, stage: Stage) -> None:
        """It is over."""


class Side:
    """The processes and what they said. Made by `opened`."""

    def __init__(
        self,
        database: Path,
        services: Sequence[Child[FromService]],
        load: Child[FromLoad],
        watch: Watch,
        promises: Promises,
        settings: Settings,
        tier: Embedded | None,
        screen: Stages,
        *,
        cache: bool,
    ) -> None:
        self.cache = cache
        self.gathered = Gathered()
        self._database = database
        self._services = services
        self._load = load
        self._watch = watch
        self._promises = promises
        self._settings = settings
        self._tier = tier
        self._screen = screen
        self._quiet: Totals | None = None

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, database: Path, settings: Settings, tier: Embedded | None, screen: Stages, *, cache: bool
    ) -> AsyncIterator[Self]:
        """The processes, on their way; they change `database`. `tier`: what they share over."""
        promises = Promises(
            _ALLOWANCES,
            0.0 if tier is None else settings.max_unsynced_s,
            () if tier is None else tier.outages,
        )
        async with AsyncExitStack() as stack:
            watch = stack.enter_context(closing(Watch(database, promises, _WATCHED_PER_PULSE_MAX)))
            services = [
                await stack.enter_async_context(_service(database, settings, tier, number, cache=cache))
                for number in range(settings.processes)
            ]
            load = await stack.enter_async_context(_load(database, settings))
            side = cls(database, services, load, watch, promises, settings, tier, screen, cache=cache)
            try:
                yield side
            finally:
                # All at once, so that they end beside each other.
                for service in services:
                    service.hang_up()
                load.hang_up()

    async def ready(self) -> None:
        """Wait until the processes can begin. `ChildFailed` when one breaks down."""
        ports = [(await _listening(service)).port for service in self._services]
        await _listening(self._load)
        self._load.tell(Connect(ports, ports[1:] if self._settings.deaf else ports))

    async def turn(self, turn: Turn) -> None:
        """Let this side work through the stages of `turn`; the other one rests meanwhile."""
        begin = Begin(seconds_of(turn))
        for service in self._services:
            service.tell(begin)
        self._load.tell(begin)
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._services)):
                group.create_task(self._hear_service(number))
            staging = group.create_task(self._stage(turn.stages, time.monotonic()))
            await self._hear_load()
            staging.cancel()
            self.gathered.end(time.monotonic())
            for service in self._services:
                service.tell(Rest())
        self._screen.stage_ends(turn.stages[-1])
        if all(stage.event is None for stage in turn.stages):
            self._quiet = self.gathered.totals()

    async def end(self) -> SideReport:
        """The report, after the last turn."""
        for service in self._services:
            service.tell(End())
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._services)):
                group.create_task(self._hear_service(number))
        history, commits = whole_history(self._database)
        assert self._quiet is not None, "a run begins with quiet turns"
        return judged(self.gathered, self._quiet, history, commits, self._promises, cache=self.cache)

    async def _stage(self, stages: Sequence[Stage], began: float) -> None:
        for number, stage in enumerate(stages):
            await asyncio.sleep(began + sum(one.seconds for one in stages[:number]) - time.monotonic())
            for service in self._services:
                service.tell(Report())
            self.gathered.begin(stage.name, time.monotonic())
            if number:
                self._screen.stage_ends(stages[number - 1])
            self._screen.stage(stage)
            if stage.event is not None:
                assert self._tier is not None, "without a shared tier nothing befalls it"
                await self._tier.befall(stage.event)

    async def _hear_load(self) -> None:
        async for report in self._load.reports():
            match report:
                case LoadPulse():
                    self.gathered.load_pulse(report)
                    if report.served:
                        log = self.gathered.stage_at(report.served[0].started_at)
                        self._watch.served(report.served, log.watched)
                case TurnEnded():
                    return

    async def _hear_service(self, number: int) -> None:
        async for report in self._services[number].reports():
            assert isinstance(report, ServicePulse)
            self._watch.done(report.done, time.monotonic())
            self.gathered.service_pulse(number, report)
            if report.is_last:
                return


async def _listening(child: Child[FromService] | Child[FromLoad]) -> Listening:
    report = await anext(child.reports())
    assert isinstance(report, Listening)
    return report


def _service(
    database: Path, settings: Settings, tier: Embedded | None, number: int, *, cache: bool
) -> Child[FromService]:
    hears = tier is not None and not (settings.deaf and number == 0)
    environment = {"CACHEASIDE_MAX_UNSYNCED": f"{settings.max_unsynced_s}s"}
    if hears:
        assert tier is not None
        environment["CACHEASIDE_URL"] = tier.url
    arguments = [
        f"--database={database}",
        f"--process={number}",
        f"--speed={settings.speed}",
        f"--distance={settings.distance_ms}",
        *([] if cache else ["--without-cache"]),
        *([] if settings.invalidation else ["--without-invalidation"]),
    ]
    return Child("cacheaside.demo.service", arguments, FromService, environment)


def _load(database: Path, settings: Settings) -> Child[FromLoad]:
    arguments = [
        f"--database={database}",
        f"--connections={settings.connections}",
        f"--rate={settings.rate}",
        f"--seed={settings.seed}",
        f"--speed={settings.speed}",
        f"--seconds={settings.seconds}",
    ]
    return Child("cacheaside.demo.load", arguments, FromLoad)
