"""The demo from its command line to its exit code.

Exit codes: 0 sound; 1 something broke or an answer was older than its contract allows; 2 it could not begin;
130 stopped with Ctrl-C; 143 terminated.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
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
from cacheaside.demo.demand import EXPONENT
from cacheaside.demo.drawing import print_report
from cacheaside.demo.embedded import Embedded, TierUnavailable, embedded_tier
from cacheaside.demo.report import Report
from cacheaside.demo.screen import LiveScreen, PlainScreen
from cacheaside.demo.side import Settings
from cacheaside.demo.turns import measure

__all__ = ["main"]

SPEED: Final = 2880.0
"""Half a minute of replay for a day of flights."""
PROCESSES: Final = 3
RATE: Final = 800.0
SECONDS: Final = 26.0
SECONDS_ALONE: Final = 30.0

_CONNECTIONS_MAX: Final = 1000
_PROCESSES_MAX: Final = 16

_BROKEN: Final = 1
_CANNOT_BEGIN: Final = 2
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    options = _options(arguments)
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
        with nullcontext(None) if options.no_l2 else embedded_tier() as tier:
            heading = _heading(options, tier)
            report = _run(options, console, heading, tier, plain=plain)
    except KeyboardInterrupt:
        console.print("stopped")
        return _INTERRUPTED
    except (DatasetMissing, TierUnavailable, OSError) as error:
        console.print(str(error), style="red", markup=False)
        return _CANNOT_BEGIN
    except ChildFailed as error:
        console.print(str(error), style="red", markup=False)
        return _BROKEN
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        print_report(console, report, heading)
    return 0 if report.sound else _BROKEN


def _run(
    options: argparse.Namespace, console: Console, heading: str, tier: Embedded | None, *, plain: bool
) -> Report:
    settings = Settings(
        seconds=options.seconds,
        connections=options.connections,
        rate=options.rate,
        processes=options.processes,
        seed=options.seed,
        speed=options.speed,
        max_unsynced_s=options.max_unsynced,
        invalidation=not options.without_invalidation,
        deaf=options.with_deaf_process,
    )
    screen_class = PlainScreen if plain else LiveScreen
    with (
        tempfile.TemporaryDirectory(prefix="cacheaside-demo-") as folder,
        screen_class(console, heading) as screen,
    ):
        built = built_database(find_dataset(), Path(folder), screen.preparing)
        databases = {
            cache: copy_database(built, Path(folder) / name)
            for cache, name in ((False, "without"), (True, "with"))
        }
        sides = asyncio.run(measure(databases, settings, tier, screen))
    return Report(
        seed=options.seed,
        connections=options.connections,
        speed=options.speed,
        flights=FLIGHT_ROWS,
        processes=options.processes,
        tier=None if tier is None else f"{tier.name} {tier.version}",
        max_unsynced_s=options.max_unsynced,
        without_cache=sides[False].quiet,
        with_cache=sides[True].quiet,
        stages=[stage for side in sides.values() for stage in side.stages],
        outages=sides[True].outages,
        under_outages=sides[True].under_outages,
        changes=sum(side.changes for side in sides.values()),
    )


def _heading(options: argparse.Namespace, tier: Embedded | None) -> str:
    shared = "" if tier is None else f" · {tier.name} {tier.version} · {options.processes} processes"
    return (
        f"{FLIGHT_ROWS:,} flights · SQLite{shared} · {options.connections} connections"
        f" · Zipf {EXPONENT} · seed {options.seed}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cacheaside.demo",
        description="A small flight service on real rows, under load: without the cache and with it, and then while "
        "the server that its processes share over is killed, comes back, is frozen and goes on.",
    )
    parser.add_argument(
        "--no-l2", action="store_true", help="one process, and no server to share over: no outages either"
    )
    parser.add_argument(
        "--processes", type=_few, help=f"of the service, 1 to {_PROCESSES_MAX} (default {PROCESSES})"
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        help=f"of load in all (default {SECONDS:g}, and {SECONDS_ALONE:g} with --no-l2)",
    )
    parser.add_argument(
        "--connections", type=_count, default=16, help="readers that ask at once (default 16)"
    )
    parser.add_argument("--rate", type=_rate, help="")
    parser.add_argument("--seed", type=int, help="of what is asked for (default: drawn, and shown)")
    parser.add_argument(
        "--speed", type=_positive, default=SPEED, help=f"of the replayed day (default {SPEED:g})"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON; progress goes to stderr")
    parser.add_argument("--plain", action="store_true", help="progress as lines of text, as when piped")
    parser.add_argument("--no-color", action="store_true", help="no colours")
    # Shows that the check of staleness can fail: changes are committed, and the cache is not told; or one process
    # hears nothing of the others' changes.
    parser.add_argument("--without-invalidation", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--with-deaf-process", action="store_true", help=argparse.SUPPRESS)
    # Shorter, so that short outages suffice.
    parser.add_argument("--max-unsynced", type=_positive, default=2.0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.no_l2 and options.processes not in (None, 1):
        parser.error("--no-l2 is one process: several need the server to share over")
    if options.processes is None:
        options.processes = 1 if options.no_l2 else PROCESSES
    if options.seconds is None:
        options.seconds = SECONDS_ALONE if options.no_l2 else SECONDS
    if options.rate is None:
        options.rate = 0.0 if options.no_l2 else RATE
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _rate(text: str) -> float:
    return 0.0 if text == "0" else _positive(text)


def _count(text: str, most: int = _CONNECTIONS_MAX) -> int:
    value = int(text)
    if not 1 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {most}")
    return value


def _few(text: str) -> int:
    return _count(text, _PROCESSES_MAX)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
