"""What keeps herds from the source has its effect, under virtual time; and each part of it, broken, is missed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cacheaside.testing.simulator.herd_cases import CASES
from cacheaside.testing.simulator.mutants import HERD_MUTANTS, MUTANTS, Mutant


@pytest.mark.parametrize("case", CASES)
def test_every_figure_keeps_its_rule(case: str) -> None:
    """Each measure keeps its rules in the shipped library, and the figures show what it is for."""
    outcome = CASES[case]()
    print(json.dumps(outcome.figures, indent=1))
    assert outcome.broken == []


@pytest.mark.parametrize("mutant", HERD_MUTANTS, ids=lambda mutant: mutant.name)
def test_each_part_is_needed(mutant: Mutant) -> None:
    """A library without one of the measures breaks a rule of the case that is about it."""
    options = ["--mutant", mutant.name, "--herd", mutant.given]
    run = subprocess.run(
        [sys.executable, "-m", "cacheaside.testing.simulator", "--json", *options],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.stdout, f"{mutant.name} cannot be applied: write it again for the new text\n{run.stderr}"
    outcome = json.loads(run.stdout)
    print(json.dumps(outcome, indent=1))
    assert outcome["broken"], f"{mutant.name}: {mutant.what}. No figure shows it."


def test_names_tell_mutants_apart() -> None:
    """No mutant of a herd has the name of another mutant."""
    names = [mutant.name for mutant in (*MUTANTS, *HERD_MUTANTS)]
    assert len(names) == len(set(names))
