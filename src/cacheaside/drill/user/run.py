"""A drill of a service that is not its own, from the first look at it to the report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from cacheaside.drill.drills import Drill
from cacheaside.drill.faults.made import fault_of
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.journal import Journal
from cacheaside.drill.report import Report
from cacheaside.drill.running import run_drill
from cacheaside.drill.settings import Settings
from cacheaside.drill.tap import Tap
from cacheaside.drill.user.ground import Brought, Theirs

__all__ = ["drill_theirs"]


async def drill_theirs(
    drill: Drill,
    settings: Settings,
    brought: Brought,
    folder: Path,
    say: Callable[[str], None],
    *,
    proxy: Path | None = None,
    source_proxy: Path | None = None,
) -> Report:
    """The report. proxy, source_proxy: control sockets of `drill proxy`, in front of the shared tier and of the source.
    `CannotDrill` before anything is touched: the server does not answer, is a cluster, a replica, holds nothing of the
    namespace, or the drill would reach further than it."""
    with ExitStack() as stack:
        scope = stack.enter_context(Scope(brought.url, brought.namespace))
        say(f"looking at {scope.url}, namespace {brought.namespace}")
        await asyncio.to_thread(scope.check)
        wires = [
            None if path is None else stack.enter_context(closing(Tap(path)))
            for path in (proxy, source_proxy)
        ]
        async with Theirs.opened(brought, settings, wires[0], wires[1]) as ground:
            fault = fault_of(drill, settings, ground, scope)
            return await run_drill(drill, settings, ground, fault, Journal(folder, drill.name), say)
