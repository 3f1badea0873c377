"""`python -m bench`: see `--help`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench import admission, counting, herd, hit, hit_ratio, leader, memory, miss, report, targets
from bench.interleaved import Case, Plan, WrongAnswer, time_cases
from bench.rows import EMPTY_LOOP, net_of
from bench.shared import sections as shared
from bench.shared.ours import SharedTierMissing
from bench.shared.processes import RowFailed
from bench.targets import Target

SECTIONS = ("hit", "miss", "admission", "herd", "leader", "memory", "ratio", *shared.NAMES)
ROUNDS, ROUNDS_QUICK = 25, 7
ENTRIES_LARGEST = 1_000_000


@dataclass(slots=True)
class Findings:
    """What one run found: the texts to print, the rows for JSON, the targets."""

    texts: list[str] = field(default_factory=list)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    judged: list[Target] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Rows that were not timed, and why."""

    def add(self, section: str, text: str, rows: list[Any], judged: list[Target]) -> None:
        self.texts.append(text)
        self.rows[section] = rows
        self.judged += judged


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench",
        description="cacheaside beside other caches, and beside the floors that no cache can beat. "
        "How it measures, and how to read it: docs/benchmarks.md",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a section ({', '.join(SECTIONS)}) or part of a row's name; may be repeated. Floors always run.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, 50,000 entries: a first look"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"rounds of the timed rows (default {ROUNDS}, quick {ROUNDS_QUICK}) and of {shared.HIT} "
        f"(default {shared.ROUNDS}, quick {shared.ROUNDS_QUICK})",
    )
    parser.add_argument(
        "--entries",
        type=int,
        help=f"entries of the memory rows (default 200,000, quick 50,000) and of {shared.BYTES} "
        "(default 50,000, quick 3,000)",
    )
    parser.add_argument(
        "--seed", type=int, help="order of the timed rows in each round (default: a new one, printed)"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output instead of tables"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is not reached")
    options = parser.parse_args(arguments)
    options.shared_rounds, options.shared_entries = options.rounds, options.entries
    if options.rounds is None:
        options.rounds = ROUNDS_QUICK if options.quick else ROUNDS
        options.shared_rounds = shared.ROUNDS_QUICK if options.quick else shared.ROUNDS
    if options.entries is None:
        options.entries = 50_000 if options.quick else 200_000
        options.shared_entries = 3_000 if options.quick else 50_000
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    if options.rounds < 1 or not 1_000 <= options.entries <= ENTRIES_LARGEST:
        parser.error(f"--rounds must be at least 1, --entries between 1,000 and {ENTRIES_LARGEST:,}")
    return options


def wants(only: list[str]) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Whether a section is wanted, and whether a row is."""
    sections = [name for name in only if name in SECTIONS]
    parts = [name for name in only if name not in SECTIONS]
    return (
        lambda section: not sections or section in sections,
        lambda row: not parts or any(part in row for part in parts),
    )


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, found: Findings) -> None:
    """Measure what is wanted into `found`; what was measured before an error stays there."""
    section_wanted, row_wanted = wants(options.only)
    shared.check(section_wanted, row_wanted)
    timed_cases = [
        case
        for section, cases in (("hit", hit.cases), ("miss", miss.cases), ("admission", admission.cases))
        if section_wanted(section)
        for case in cases()
        if _always(case) or row_wanted(case.name)
    ]
    if timed_cases:
        plan = Plan(options.seed, options.rounds, 0.003 if options.quick else 0.008)
        timed = net_of(time_cases(timed_cases, plan, progress))
        judged = targets.of_hits(timed) + targets.of_admission(timed)
        found.add("timed", report.timed(timed), timed, judged)
    if section_wanted("hit") and row_wanted(counting.TITLE):
        counts = counting.rows(options.seed, 400 if options.quick else 2_000, progress)
        found.add("counting", report.counting(counts), counts, targets.of_counting(counts))
    if section_wanted("herd"):
        herds = herd.rows(1 if options.quick else 3, row_wanted, progress)
        found.add("herd", report.herds(herds), herds, targets.of_herds(herds))
    if section_wanted("leader"):
        leaders = leader.rows(row_wanted, progress)
        found.add("leader", report.leaders(leaders), leaders, targets.of_leaders(leaders))
    if section_wanted("memory"):
        memories = memory.rows(options.entries, row_wanted, progress)
        found.add("memory", report.memory(memories), memories, targets.of_memory(memories))
    if section_wanted("ratio"):
        progress("hit ratios beside an independent simulator")
        ratios = hit_ratio.rows(hit_ratio.PARTS[2:3] if options.quick else hit_ratio.PARTS)
        found.add("ratio", hit_ratio.text(ratios), ratios, targets.of_ratios(ratios))
    shared.measure(section_wanted, row_wanted, progress, found.add, found.refused.append, options)


def _always(case: Case) -> bool:
    return case.name in (EMPTY_LOOP, case.table.floor)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    before = report.machine()
    found = Findings()
    try:
        measure(options, found)
    except WrongAnswer as error:
        found.refused.append(f"{error} (its section was not timed)")
    except (SharedTierMissing, RowFailed) as error:
        found.refused.append(str(error))
    progress("")
    show(options, before, found)
    if found.refused:
        print("\n".join(f"bench: not measured: {why}" for why in found.refused), file=sys.stderr)
        return 2
    return 1 if options.check and not all(target.reached for target in found.judged) else 0


def show(options: argparse.Namespace, before: dict[str, Any], found: Findings) -> None:
    """Print what was found, for people or as JSON."""
    if options.json:
        rows = {section: [report.plain(row) for row in rows] for section, rows in found.rows.items()}
        judged = [report.plain(target) for target in found.judged]
        run = {"seed": options.seed, "rounds": options.rounds, "entries": options.entries}
        print(
            json.dumps(
                {"run": run, "machine": before, "rows": rows, "targets": judged, "refused": found.refused},
                indent=1,
            )
        )
        return
    print(f"{before['python']}, {before['system']}, {before['cores']} cores, load {before['load_average']}")
    print(", ".join(f"{name} {number}" for name, number in before["versions"].items()))
    print(f"seed {options.seed}, {options.rounds} rounds in random order\n")
    print("\n\n".join([*found.texts, *([report.targets(found.judged)] if found.judged else [])]))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
