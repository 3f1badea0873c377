"""The demo from its command line to its exit code.

Exit codes: 0 sound; 1 something broke or an answer was older than its contract allows; 2 it could not begin;
130 stopped with Ctrl-C; 143 terminated.
"""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import msgspec
from rich.console import Console

from cacheaside.demo.build import built_database, copy_database
from cacheaside.demo.children import ChildFailed
from cacheaside.demo.dataset import FLIGHT_ROWS, DatasetMissing, find_dataset
from cacheaside.demo.drawing import print_report
from cacheaside.demo.embedded import Embedded, TierUnavailable, embedded_tier
from cacheaside.demo.options import Settings, parse
from cacheaside.demo.report import Report
from cacheaside.demo.screen import LiveScreen, PlainScreen
from cacheaside.demo.turns import measure

__all__ = ["main"]

_BROKEN: Final = 1
_CANNOT_BEGIN: Final = 2
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    options = parse(arguments)
    settings = options.settings
    plain = options.plain or options.json or not sys.stdout.isatty()
    console = Console(
        stderr=options.json,
        no_color=options.no_color or None,
        highlight=False,
        force_terminal=False if plain else None,
    )
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a dash still gets the numbers
    try:
        with embedded_tier() if settings.shared else nullcontext() as tier:
            heading = _heading(settings, tier)
            with (PlainScreen if plain else LiveScreen)(console, heading) as screen:
                report = _run(settings, tier, screen)
    except KeyboardInterrupt:
        console.print("stopped")
        return _INTERRUPTED
    except (DatasetMissing, TierUnavailable, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return _CANNOT_BEGIN
    except ChildFailed as error:
        console.print(str(error), style="red", markup=False)
        return _BROKEN
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        print_report(console, report, heading)
    return 0 if report.sound else _BROKEN


def _run(settings: Settings, tier: Embedded | None, screen: PlainScreen | LiveScreen) -> Report:
    with tempfile.TemporaryDirectory(prefix="cacheaside-demo-") as folder:
        built = built_database(find_dataset(), Path(folder), screen.preparing)
        databases = {
            cache: copy_database(built, Path(folder) / name)
            for cache, name in ((False, "without"), (True, "with"))
        }
        sides = asyncio.run(measure(databases, settings, tier, screen))
    return Report(
        seed=settings.seed,
        connections=settings.connections,
        rate=settings.rate,
        distance_ms=settings.distance_ms,
        speed=settings.speed,
        flights=FLIGHT_ROWS,
        processes=settings.processes,
        tier=None if tier is None else f"{tier.name} {tier.version}",
        max_unsynced_s=settings.max_unsynced_s,
        without_cache=sides[False].quiet,
        with_cache=sides[True].quiet,
        stages=[stage for side in sides.values() for stage in side.stages],
        outages=sides[True].outages,
        under_outages=sides[True].under_outages,
        changes=sum(side.changes for side in sides.values()),
    )


def _heading(settings: Settings, tier: Embedded | None) -> str:
    away = f" {settings.distance_ms:g} ms away" if settings.distance_ms else ""
    said = [f"{FLIGHT_ROWS:,} flights", f"SQLite{away}"]
    if tier is not None:
        said += [f"{settings.processes} processes", f"{tier.name} {tier.version}"]
    return " · ".join([*said, f"seed {settings.seed}"])


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
