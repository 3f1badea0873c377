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
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import msgspec
from rich.console import Console

from cacheaside.demo.build import built_database, copy_database
from cacheaside.demo.children import ChildFailed
from cacheaside.demo.dataset import FLIGHT_ROWS, DatasetMissing, find_dataset
from cacheaside.demo.load import EXPONENT
from cacheaside.demo.report import Report
from cacheaside.demo.screen import LiveScreen, PlainScreen, print_report
from cacheaside.demo.side import Settings
from cacheaside.demo.turns import measure

__all__ = ["main"]

SPEED: Final = 2880.0
"""Half a minute of replay for a day of flights."""

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
        report = _run(options, console, plain)
    except KeyboardInterrupt:
        console.print("stopped")
        return _INTERRUPTED
    except (DatasetMissing, OSError) as error:
        console.print(str(error), style="red", markup=False)
        return _CANNOT_BEGIN
    except ChildFailed as error:
        console.print(str(error), style="red", markup=False)
        return _BROKEN
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        print_report(console, report, _heading(options))
    return 0 if report.sound else _BROKEN


def _run(options: argparse.Namespace, console: Console, plain: bool) -> Report:
    settings = Settings(
        seconds=options.seconds / 2,
        connections=options.connections,
        seed=options.seed,
        speed=options.speed,
        invalidation=not options.without_invalidation,
    )
    screen_class = PlainScreen if plain else LiveScreen
    with (
        tempfile.TemporaryDirectory(prefix="cacheaside-demo-") as folder,
        screen_class(console, _heading(options)) as screen,
    ):
        built = built_database(find_dataset(), Path(folder), screen.preparing)
        databases = {
            cache: copy_database(built, Path(folder) / name)
            for cache, name in ((False, "without"), (True, "with"))
        }
        phases = asyncio.run(measure(databases, settings, screen))
    return Report(
        seed=options.seed,
        connections=options.connections,
        speed=options.speed,
        flights=FLIGHT_ROWS,
        without_cache=phases[False],
        with_cache=phases[True],
    )


def _heading(options: argparse.Namespace) -> str:
    return (
        f"{FLIGHT_ROWS:,} flights of 2013 · SQLite · {options.connections} connections"
        f" · Zipf {EXPONENT} · seed {options.seed}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cacheaside.demo",
        description="A small flight service on real rows, under load, with the cache and without.",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=30.0, help="of load, both sides together (default 30)"
    )
    parser.add_argument(
        "--connections", type=_count, default=16, help="readers that ask at once (default 16)"
    )
    parser.add_argument("--seed", type=int, help="of what is asked for (default: drawn, and shown)")
    parser.add_argument(
        "--speed", type=_positive, default=SPEED, help=f"of the replayed day (default {SPEED:g})"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON; progress goes to stderr")
    parser.add_argument("--plain", action="store_true", help="progress as lines of text, as when piped")
    parser.add_argument("--no-color", action="store_true", help="no colours")
    # Shows that the check of staleness can fail: changes are committed, and the cache is not told.
    parser.add_argument("--without-invalidation", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _CONNECTIONS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {_CONNECTIONS_MAX}")
    return value


_CONNECTIONS_MAX: Final = 1000


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
