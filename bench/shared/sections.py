"""The sections of the shared tier, by the names that `--only` takes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from bench import targets
from bench.rows import OURS
from bench.shared import away, drop, entry_bytes, herd, hits, hot, ours, report
from bench.shared.values import SIZES
from bench.targets import Target

HIT, HERD, HOT, AWAY, DROP, BYTES = NAMES = (
    "shared-hit",
    "shared-herd",
    "hot",
    "away",
    "drop",
    "l2-bytes",
)
ROUNDS, ROUNDS_QUICK = 7, 2

Wanted = Callable[[str], bool]
Progress = Callable[[str], None]
Refuse = Callable[[str], None]
Add = Callable[[str, str, list[Any], list[Target]], None]


def check(section_wanted: Wanted, row_wanted: Wanted) -> None:
    """Raise `SharedTierMissing` before anything is measured, when a row is wanted that cannot be."""
    if any(section_wanted(name) for name in NAMES) and row_wanted(OURS):
        ours.check_shared_tier()


def measure(
    section_wanted: Wanted,
    row_wanted: Wanted,
    progress: Progress,
    add: Add,
    refuse: Refuse,
    options: Namespace,
) -> None:
    """Measure the wanted sections, `add` each with its table and its targets, and `refuse` rows that lie."""
    quick = options.quick
    plan = hits.SharedPlan(
        seed=options.seed,
        rounds=options.shared_rounds,
        batch_s=0.08 if quick else 0.15,
        sizes=SIZES[:1] if quick else SIZES,
    )
    sections: dict[
        str, tuple[Callable[[], Sequence[Any]], Callable[[Any], str], Callable[[Any], list[Target]]]
    ] = {
        HIT: (lambda: hits.rows(plan, row_wanted, progress, refuse), report.hits, targets.of_shared_hits),
        HERD: (
            lambda: herd.rows(1 if quick else 3, row_wanted, progress),
            report.herds,
            targets.of_shared_herds,
        ),
        HOT: (lambda: hot.rows(2 if quick else 8, row_wanted, progress), report.hot, targets.of_hot),
        AWAY: (lambda: away.rows(1.5 if quick else 3, row_wanted, progress), report.away, targets.of_away),
        DROP: (lambda: drop.rows(1 if quick else 10, row_wanted, progress), report.drops, targets.of_drops),
        BYTES: (
            lambda: entry_bytes.rows(options.shared_entries, row_wanted, progress),
            report.entry_bytes,
            lambda rows: [],
        ),
    }
    for name, (rows, text, judged) in sections.items():
        if section_wanted(name) and (found := list(rows())):
            add(name, text(found), found, judged(found))
