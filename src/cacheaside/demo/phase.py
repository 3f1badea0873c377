"""One phase of the demo: the service and the load as processes of their own, from their start to the verdict."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cacheaside import Contract
from cacheaside.demo import catalog
from cacheaside.demo.children import Child, ChildFailed
from cacheaside.demo.history import Allowance, Findings, Served, check
from cacheaside.demo.messages import (
    Begin,
    End,
    FromLoad,
    FromService,
    Listening,
    LoadEnded,
    LoadPulse,
    ServicePulse,
)
from cacheaside.demo.records import Watch, whole_history
from cacheaside.demo.report import Phase, phase_report

__all__ = ["Screen", "Settings", "measure"]

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
    """How a phase is run; `seconds` of load, in a replay `speed` times as fast as the day was."""

    seconds: float
    connections: int
    seed: int
    speed: float
    invalidation: bool = True


class Screen(Protocol):
    """What is told of a phase while it runs."""

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report, and what the check of a part of the responses has found so far."""


async def measure(database: Path, settings: Settings, screen: Screen, *, cache: bool) -> Phase:
    """Run the load against a service on `database`, which it changes; `ChildFailed` when a process breaks down."""
    watch = Watch(database, _ALLOWANCES, _WATCHED_PER_PULSE_MAX)
    run = _Run(screen, watch)
    try:
        await run.through(database, settings, cache)
    finally:
        watch.close()
    load, service = run.ended()
    findings = check(whole_history(database), run.served, _ALLOWANCES)
    return phase_report(cache=cache, load=load, service=service, findings=findings)


class _Run:
    """What is heard of the two processes."""

    def __init__(self, screen: Screen, watch: Watch) -> None:
        self._screen = screen
        self._watch = watch
        self._load: LoadEnded | None = None
        self._service: ServicePulse | None = None
        self.served: list[Served] = []

    def ended(self) -> tuple[LoadEnded, ServicePulse]:
        """The last reports."""
        assert self._load is not None
        assert self._service is not None
        return self._load, self._service

    async def through(self, database: Path, settings: Settings, cache: bool) -> None:
        """Start both, have them work, hear them out, and see them end."""
        try:
            async with Child[FromService](
                "cacheaside.demo.service", _service_arguments(database, settings, cache), FromService
            ) as service:
                port = _port(await anext(service.reports()))
                async with Child[FromLoad](
                    "cacheaside.demo.load", _load_arguments(database, settings, port), FromLoad
                ) as load:
                    await anext(load.reports())
                    service.tell(Begin())
                    load.tell(Begin())
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._hear_service(service))
                        await self._hear_load(load)
                        service.tell(End())
        except* ChildFailed as failed:
            raise failed.exceptions[0] from None

    async def _hear_load(self, load: Child[FromLoad]) -> None:
        async for report in load.reports():
            match report:
                case LoadPulse():
                    self.served += report.served
                    self._watch.served(report.served)
                    self._screen.load_pulse(report)
                case LoadEnded():
                    self._load = report
                    return

    async def _hear_service(self, service: Child[FromService]) -> None:
        async for report in service.reports():
            if isinstance(report, ServicePulse):
                self._watch.acknowledged(report.acknowledged, time.monotonic())
                self._screen.service_pulse(report, self._watch.findings)
                if report.final:
                    self._service = report
                    return


def _port(report: FromService) -> int:
    assert isinstance(report, Listening)
    return report.port


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
        f"--seconds={settings.seconds}",
        f"--connections={settings.connections}",
        f"--seed={settings.seed}",
    ]
