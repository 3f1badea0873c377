"""One side of the comparison: a service and its load, as processes of their own, from their start to the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from cacheaside import Contract
from cacheaside.demo import catalog
from cacheaside.demo.children import Child
from cacheaside.demo.history import Allowance, Findings, Served, check
from cacheaside.demo.messages import (
    Begin,
    End,
    FromLoad,
    FromService,
    Listening,
    LoadEnded,
    LoadPulse,
    Rest,
    ServicePulse,
    TurnEnded,
)
from cacheaside.demo.records import Watch, whole_history
from cacheaside.demo.report import Phase, phase_report

__all__ = ["Pulses", "Settings", "Side"]

_WATCHED_PER_PULSE_MAX: Final = 200


def _allowance(contract: Contract) -> Allowance:
    terms = contract.terms
    return Allowance(terms.stale_after_invalidation_s, terms.ttl_s + terms.grace_s)


_ALLOWANCES: Final = {
    "flight": _allowance(catalog.STATUS),
    "board": _allowance(catalog.BOARD),
    "plane": _allowance(catalog.STATUS),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a side is run: `seconds` of load in all, in a replay `speed` times as fast as the day was."""

    seconds: float
    connections: int
    seed: int
    speed: float
    invalidation: bool = True


class Pulses(Protocol):
    """What is told of a side while it has its turn."""

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report, and what the check of a part of the responses has found so far."""


class Side:
    """The two processes and what they said. Made by `opened`."""

    def __init__(
        self,
        database: Path,
        service: Child[FromService],
        load: Child[FromLoad],
        watch: Watch,
        screen: Pulses,
        *,
        cache: bool,
    ) -> None:
        self.cache = cache
        self._database = database
        self._service = service
        self._load = load
        self._watch = watch
        self._screen = screen
        self._served: list[Served] = []

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, database: Path, settings: Settings, screen: Pulses, *, cache: bool
    ) -> AsyncIterator[Self]:
        """Both processes, ready to begin; they change `database`. `ChildFailed` when one breaks down."""
        service_arguments = _service_arguments(database, settings, cache)
        with closing(Watch(database, _ALLOWANCES, _WATCHED_PER_PULSE_MAX)) as watch:
            async with Child[FromService](
                "cacheaside.demo.service", service_arguments, FromService
            ) as service:
                listening = await anext(service.reports())
                assert isinstance(listening, Listening)
                load_arguments = _load_arguments(database, settings, listening.port)
                async with Child[FromLoad]("cacheaside.demo.load", load_arguments, FromLoad) as load:
                    await anext(load.reports())
                    yield cls(database, service, load, watch, screen, cache=cache)

    async def turn(self, seconds: float) -> None:
        """Let this side work for so long; the other one rests meanwhile."""
        self._service.tell(Begin(seconds))
        self._load.tell(Begin(seconds))
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(self._hear_service())
            await self._hear_turn()
            hearing.cancel()
        self._service.tell(Rest())

    async def end(self) -> Phase:
        """The report, after the last turn."""
        self._load.tell(End())
        self._service.tell(End())
        load = await anext(self._load.reports())
        assert isinstance(load, LoadEnded)
        service = await self._hear_service()
        findings = check(whole_history(self._database), self._served, _ALLOWANCES)
        return phase_report(cache=self.cache, load=load, service=service, findings=findings)

    async def _hear_turn(self) -> None:
        async for report in self._load.reports():
            match report:
                case LoadPulse():
                    self._served += report.served
                    self._watch.served(report.served)
                    self._screen.load_pulse(report)
                case TurnEnded():
                    return

    async def _hear_service(self) -> ServicePulse:
        async for report in self._service.reports():
            assert isinstance(report, ServicePulse)
            self._watch.acknowledged(report.acknowledged, time.monotonic())
            self._screen.service_pulse(report, self._watch.findings)
            if report.final:
                return report
        raise AssertionError("a service that ended without its last report has failed")


def _service_arguments(database: Path, settings: Settings, cache: bool) -> list[str]:
    return [
        f"--database={database}",
        f"--speed={settings.speed}",
        f"--seconds={settings.seconds}",
        *([] if cache else ["--without-cache"]),
        *([] if settings.invalidation else ["--without-invalidation"]),
    ]


def _load_arguments(database: Path, settings: Settings, port: int) -> list[str]:
    return [
        f"--database={database}",
        f"--port={port}",
        f"--connections={settings.connections}",
        f"--seed={settings.seed}",
    ]
