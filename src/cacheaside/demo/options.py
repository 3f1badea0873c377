"""The command line: what a run is made like, and how it is shown."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["Options", "Settings", "parse"]

_CONNECTIONS_MAX: Final = 1000
_PROCESSES_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run is made.

    seconds: of load in all. rate: requests per second that all readers ask for together; 0: as many as they can.
    processes: of the service, on each side. distance_ms: how long a read of the database is on its way, as over a
    network. speed: of the replayed day, in real days. shared: the processes have a server to share over.
    max_unsynced_s: the cache's own setting; how long L1 answers when it is out of touch.
    invalidation, deaf: without the one, and with the other, answers are older than promised, so that the check can be
    seen to fail; deaf: the first process hears nothing of the others.
    """

    shared: bool
    seconds: float
    rate: float
    processes: int
    distance_ms: float
    speed: float
    seed: int = 0
    connections: int = 16
    max_unsynced_s: float = 2.0
    invalidation: bool = True
    deaf: bool = False


_SHARED: Final = Settings(shared=True, seconds=26.0, rate=600.0, processes=3, distance_ms=5.0, speed=1440.0)
"""A load that two cores can bear with all these processes, so that a stage shows in its latency and not in what is left
of the machine; a database as far away as one that several processes use; a day of flights in a minute."""
_ALONE: Final = Settings(shared=False, seconds=30.0, rate=0.0, processes=1, distance_ms=0.0, speed=2880.0)
"""Everything as fast as it goes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. json: the report as JSON. plain: progress as lines of text."""

    settings: Settings
    json: bool
    plain: bool
    no_color: bool


def parse(arguments: Sequence[str] | None) -> Options:
    """Read the command line; ends the process with code 2 when it makes no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    base = _ALONE if given.no_l2 else _SHARED
    if given.no_l2 and given.processes not in (None, 1):
        parser.error("--no-l2 is one process: several need the server to share over")
    if given.with_deaf_process and (given.no_l2 or given.processes == 1):
        parser.error("--with-deaf-process needs another process to miss")
    chosen = {
        name: getattr(given, name)
        for name in ("seconds", "rate", "processes", "distance_ms", "speed", "connections", "max_unsynced_s")
        if getattr(given, name) is not None
    }
    settings = replace(
        base,
        seed=random.randrange(1_000_000) if given.seed is None else given.seed,
        invalidation=not given.without_invalidation,
        deaf=given.with_deaf_process,
        **chosen,
    )
    return Options(settings, given.json, given.plain, given.no_color)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cacheaside.demo",
        description="A small flight service on real rows, under load: without the cache and with it, and then while "
        "the server that its processes share over is killed, comes back, is frozen and goes on.",
        epilog="Defaults in brackets: with that server, and with --no-l2.",
    )
    add = parser.add_argument
    add("--no-l2", action="store_true", help="one process, no server to share over, and so no outage")
    add(
        "--processes",
        type=_few,
        metavar="N",
        help=f"of the service, at most {_PROCESSES_MAX} {_default('processes')}",
    )
    add("--seconds", type=_positive, metavar="S", help=f"of load in all {_default('seconds')}")
    add("--rate", type=_none_or_more, metavar="R", help=f"requests a second; 0: no limit {_default('rate')}")
    add("--connections", type=_count, metavar="N", help=f"readers that ask at once {_default('connections')}")
    add(
        "--distance",
        type=_none_or_more,
        metavar="MS",
        dest="distance_ms",
        help=f"how far away the database is, in ms {_default('distance_ms')}",
    )
    add("--speed", type=_positive, metavar="X", help=f"of the replayed day {_default('speed')}")
    add("--seed", type=int, metavar="N", help="of what is asked for [drawn, and shown]")
    add("--json", action="store_true", help="the report as JSON; progress goes to stderr")
    add("--plain", action="store_true", help="progress as lines of text, as when piped")
    add("--no-color", action="store_true", help="no colours")
    # They show that the check of staleness can fail: changes are committed, and the cache is not told; or one process
    # hears nothing of the others' changes.
    add("--without-invalidation", action="store_true", help=argparse.SUPPRESS)
    add("--with-deaf-process", action="store_true", help=argparse.SUPPRESS)
    # Shorter, so that short outages suffice.
    add("--max-unsynced", type=_positive, dest="max_unsynced_s", help=argparse.SUPPRESS)
    return parser


def _default(name: str) -> str:
    shared, alone = getattr(_SHARED, name), getattr(_ALONE, name)
    return f"[{shared:g}]" if shared == alone else f"[{shared:g}; {alone:g}]"


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _none_or_more(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _count(text: str, most: int = _CONNECTIONS_MAX) -> int:
    value = int(text)
    if not 1 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {most}")
    return value


def _few(text: str) -> int:
    return _count(text, _PROCESSES_MAX)
