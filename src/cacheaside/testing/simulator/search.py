"""Runs many schedules, one after the other, until one breaks a promise."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass

from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.scenario import Sizes, WorldName
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.world import run_seed

__all__ = ["Failure", "Searched", "command", "search", "shrink"]

COLLECT_EVERY = 200
SHRINK_SEEDS = 400


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke a promise."""

    world: WorldName
    seed: int
    sizes: Sizes
    rule: str
    what: str

    @classmethod
    def of(cls, world: WorldName, seed: int, sizes: Sizes, found: Violation) -> Failure:
        """What `seed` found."""
        return cls(world, seed, sizes, found.rule, found.what)


@dataclass(slots=True)
class Searched:
    """What a search did. failure: the first that it met; it ends there."""

    schedules: int
    reads: int
    writes: int
    steps: int
    seconds: float
    failure: Failure | None


def command(failure: Failure, mutant: str | None) -> str:
    """What replays `failure` step by step."""
    sizes = failure.sizes
    small = "" if sizes.four == Sizes().four else f" --sizes {sizes.four}"
    given = f" --given {sizes.given}" if sizes.given else ""
    broken = "" if mutant is None else f" --mutant {mutant}"
    return f"python3 dev.py sim --world {failure.world} --seed {failure.seed}{small}{given}{broken} --trace"


def search(
    world: WorldName, first: int, stride: int, schedules: int, seconds: float, sizes: Sizes
) -> Searched:
    """Run `schedules` seeds, `stride` apart from `first` on, for at most `seconds`."""
    counts = Counts()
    began = time.perf_counter()
    failure = None
    logger = logging.getLogger("cacheaside")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # simulated servers refuse on purpose
    gc.disable()  # a schedule is one heap of cycles: collected between schedules, all at once
    gc.freeze()
    try:
        for number in range(schedules):
            seed = first + number * stride
            found = run_seed(world, seed, sizes, counts)
            if found is not None:
                failure = Failure.of(world, seed, sizes, found)
                break
            if number % COLLECT_EVERY == COLLECT_EVERY - 1:
                gc.collect()
                if time.perf_counter() - began > seconds:
                    break
    finally:
        gc.unfreeze()
        gc.enable()
        logger.setLevel(level)
    spent = time.perf_counter() - began
    return Searched(counts.schedules, counts.reads, counts.writes, counts.steps, spent, failure)


def shrink(failure: Failure) -> Failure:
    """A failure of the same rule with fewer readers and writers, found among the first seeds of smaller sizes."""
    for people in range(2, 7):
        for reads in (1, 2, 3):
            for readers in range(1, people):
                sizes = Sizes(readers, reads, people - readers, 1, failure.sizes.given)
                found = search(failure.world, 0, 1, SHRINK_SEEDS, 10.0, sizes).failure
                if found is not None and found.rule == failure.rule:
                    return found
    return failure
