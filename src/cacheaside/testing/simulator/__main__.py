"""`python3 dev.py sim`: search for schedules that break a promise, or replay one."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, get_args

from cacheaside.testing.simulator import trace
from cacheaside.testing.simulator.herd_cases import CASES
from cacheaside.testing.simulator.mutants import HERD_MUTANTS, MUTANTS
from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.scenario import Sizes, WorldName
from cacheaside.testing.simulator.search import Failure, Searched, command, search, shrink
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.world import World, run_seed

WORLDS: Final[tuple[WorldName, ...]] = get_args(WorldName)
MUTATION: Final = Path(__file__).with_name("mutation.py")


def main(arguments: list[str]) -> int:
    """0 when every promise was kept, 1 when one was broken."""
    logging.getLogger("cacheaside").setLevel(logging.CRITICAL)  # simulated servers refuse on purpose
    options = _parser().parse_args(arguments)
    options.sizes = replace(options.sizes, given=options.given)
    if options.list_mutants:
        for mutant in (*MUTANTS, *HERD_MUTANTS):
            print(f"{mutant.name:32} {mutant.what}")
        return 0
    if options.mutant is not None and not options.mutated:
        os.execv(sys.executable, _mutated(arguments, options.mutant))  # noqa: S606 - this program, again
    if options.herd is not None:
        return _herds(options)
    if options.seed is not None:
        return _replay(options)
    return _search(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py sim", description=__doc__)
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="all")
    parser.add_argument("--seed", type=int, help="run this one schedule")
    parser.add_argument("--trace", action="store_true", help="print each step of --seed")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a search")
    parser.add_argument(
        "--schedules", type=int, default=10_000, help="how many, for each world and in all jobs"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="at most this long for each world")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--sizes", type=Sizes.of, default=Sizes(), help="most readers,reads,writers,writes")
    parser.add_argument(
        "--given", default="", help="settings that are not drawn: focus=1,lag=0.4 (--trace prints all)"
    )
    parser.add_argument("--shrink", action="store_true", help="look for a smaller schedule that fails alike")
    parser.add_argument(
        "--mutant",
        metavar="NAME",
        choices=[mutant.name for mutant in (*MUTANTS, *HERD_MUTANTS)],
        help="break the library like this",
    )
    parser.add_argument(
        "--herd",
        choices=[*CASES, "all"],
        help="no schedules: how much is loaded for many readers, and how they wait",
    )
    parser.add_argument("--list-mutants", action="store_true")
    parser.add_argument("--json", action="store_true", help="one object a world, on a line")
    parser.add_argument("--stride", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--mutated", action="store_true", help=argparse.SUPPRESS)
    return parser


def _mutated(arguments: list[str], mutant: str) -> list[str]:
    return [sys.executable, "-P", str(MUTATION), mutant, *arguments, "--mutated"]


def _herds(options: argparse.Namespace) -> int:
    status = 0
    for name in CASES if options.herd == "all" else [options.herd]:
        outcome = CASES[name]()
        if options.json:
            print(json.dumps({"herd": name, **asdict(outcome)}))
        else:
            print(f"{name}: {CASES[name].__doc__}")
            for what, figure in outcome.figures.items():
                print(f"  {figure:10g}  {what}")
            for rule in outcome.broken:
                print(f"  BROKEN: {rule}")
        status |= bool(outcome.broken)
    return status


def _worlds(options: argparse.Namespace) -> tuple[WorldName, ...]:
    return WORLDS if options.world == "all" else (options.world,)


def _replay(options: argparse.Namespace) -> int:
    status = 0
    for world in _worlds(options):
        found = (
            _traced(world, options)
            if options.trace
            else run_seed(world, options.seed, options.sizes, Counts())
        )
        if found is None:
            print(f"{world} seed {options.seed}: every promise was kept")
        else:
            print(f"{world} seed {options.seed}: {found}")
            status = 1
    return status


def _traced(name: WorldName, options: argparse.Namespace) -> Violation | None:
    world = World(name, options.seed, options.sizes, Counts())
    print(*trace.setting(world), sep="\n")
    trace.attach(world, print)
    try:
        world.run()
    except Violation as found:
        return found
    return None


def _search(options: argparse.Namespace) -> int:
    status = 0
    for world in _worlds(options):
        searched = _in_jobs(world, options) if options.jobs > 1 else _alone(world, options)
        failure = searched.failure
        if failure is not None and options.shrink:
            failure = shrink(failure)
        if options.json:
            print(json.dumps({"world": world, **asdict(searched)}))
        else:
            _report(world, searched, failure, options.mutant)
        status |= failure is not None
    return status


def _alone(world: WorldName, options: argparse.Namespace) -> Searched:
    return search(world, options.first, options.stride, options.schedules, options.seconds, options.sizes)


def _in_jobs(world: WorldName, options: argparse.Namespace) -> Searched:
    sizes = options.sizes
    own = ["--world", world, "--stride", str(options.jobs), "--seconds", str(options.seconds), "--json"]
    own += ["--schedules", str(-(-options.schedules // options.jobs))]
    own += ["--sizes", sizes.four, "--given", sizes.given]
    if options.mutant is not None:
        own += ["--mutant", options.mutant]
    running = [
        subprocess.Popen(  # noqa: S603 - this program, again
            [sys.executable, "-m", "cacheaside.testing.simulator", *own, "--first", str(options.first + job)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for job in range(options.jobs)
    ]
    parts = [_searched(json.loads(process.communicate()[0])) for process in running]
    return Searched(
        sum(part.schedules for part in parts),
        sum(part.reads for part in parts),
        sum(part.writes for part in parts),
        sum(part.steps for part in parts),
        max(part.seconds for part in parts),
        min((part.failure for part in parts if part.failure), key=lambda failure: failure.seed, default=None),
    )


def _searched(part: dict[str, Any]) -> Searched:
    del part["world"]
    failure = part.pop("failure")
    if failure is not None:
        failure["sizes"] = Sizes(**failure["sizes"])
        failure = Failure(**failure)
    return Searched(**part, failure=failure)


def _report(world: WorldName, searched: Searched, failure: Failure | None, mutant: str | None) -> None:
    seconds = max(searched.seconds, 1e-9)
    print(
        f"{world}: {searched.schedules} schedules in {seconds:.1f} s ({searched.schedules / seconds:.0f}/s), "
        f"{searched.reads} reads ({searched.reads / seconds:.0f}/s), {searched.writes} writes, {searched.steps} steps"
    )
    if failure is not None:
        print(f"{failure.rule}: {failure.what}\n  {command(failure, mutant)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
