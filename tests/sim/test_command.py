"""The command: what a failure prints, and that it can be replayed."""

from __future__ import annotations

import re
import shlex

from tests.sim.test_mutants import simulator

BROKEN = ("--world", "embedded", "--mutant", "lost-wake-up")


def test_a_failure_prints_the_promise_and_the_command_that_replays_it() -> None:
    """A search that finds a broken promise says which and how to see it, and that command breaks the same one."""
    search = simulator(*BROKEN, "--schedules", "100")
    assert search.returncode == 1
    rule, replay = re.search(
        r"^(stuck): .+\n  python3 dev\.py sim (.+)$", search.stdout, re.MULTILINE
    ).groups()  # type: ignore[union-attr]
    again = simulator(*shlex.split(replay))
    assert again.returncode == 1
    lines = again.stdout.splitlines()
    assert f": {rule}: " in lines[-1]
    assert any(re.match(r" +\d+ +\d+\.\d\d s  reader 1$", line) for line in lines)


def test_the_same_seed_makes_the_same_schedule() -> None:
    """Two processes print the same trace of a seed, step by step, in both worlds."""
    for world in ("embedded", "shared"):
        first, second = (simulator("--world", world, "--seed", "14", "--trace").stdout for _ in range(2))
        assert first.count("\n") > 30
        assert first == second


def test_jobs_share_the_work() -> None:
    """Two processes run as many schedules as were asked for, and report them as one search."""
    run = simulator("--world", "shared", "--schedules", "60", "--jobs", "2")
    assert run.returncode == 0
    assert run.stdout.startswith("shared: 60 schedules in ")


def test_a_smaller_schedule_that_fails_alike_can_be_found() -> None:
    """--shrink prints a schedule with fewer people that breaks the same promise."""
    run = simulator(*BROKEN, "--schedules", "100", "--shrink")
    assert run.returncode == 1
    assert re.search(
        r"^stuck: .+\n  python3 dev\.py sim .+ --sizes \d,\d,\d,1 --mutant lost-wake-up --trace$",
        run.stdout,
        re.MULTILINE,
    )
