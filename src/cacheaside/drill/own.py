"""A drill on servers of its own, from nothing to its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cacheaside.drill.drills import DRILLS, Drill
from cacheaside.drill.faults.made import fault_of
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.journal import Journal
from cacheaside.drill.metastable import comparison
from cacheaside.drill.report import Comparison, Report
from cacheaside.drill.rig.ground import Own
from cacheaside.drill.running import run_drill
from cacheaside.drill.settings import Settings

__all__ = ["drill_own", "metastable_own"]

Say = Callable[[str], None]


async def drill_own(drill: Drill, settings: Settings, folder: Path, say: Say) -> Report:
    """The report. folder: for the file of what is still to be restored."""
    say("starting a server, a database and a service")
    async with Own.opened(settings) as ground:
        with Scope(ground.url, ground.namespace) as scope:
            fault = fault_of(drill, settings, ground, scope)
            return await run_drill(drill, settings, ground, fault, Journal(folder, drill.name), say)


async def metastable_own(settings: Settings, folder: Path, say: Say) -> Comparison:
    """The flush twice: with admission, and without."""
    flush = DRILLS["flush"]
    say("with admission")
    protected = await drill_own(flush, settings, folder, say)
    say("without admission")
    return comparison(protected, await drill_own(flush, settings.without_admission(), folder, say))
