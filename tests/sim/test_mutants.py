"""The library broken on purpose: each variant must be caught, or the checkers prove nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import pytest

from cacheaside.testing.simulator.mutants import MUTANTS, Mutant
from cacheaside.testing.simulator.scenario import Sizes
from cacheaside.testing.simulator.search import Failure, command

SCHEDULES_MAX: Final = 40_000
PROMISES: Final = {"G1", "G2", "G3", "flight", "mark", "owed", "books", "stuck", "order"}
"""What catches a mutant. That a reader gets a strange error, or that the simulator breaks, is no proof."""
NAMED: Final = {
    "stamp-after-load",
    "look-before-stamp",
    "delete-only",
    "counter-generations",
    "same-generation-resent",
    "bump-before-commit-only",
    "mark-after-bump",
    "clear-anothers-mark",
    "release-on-unknown-outcome",
    "blind-join",
    "join-open-during-recheck",
    "l1-without-log",
    "l1-deaf-to-marks",
    "drop-before-acknowledgement",
    "value-tags-by-bumps-alone",
    "nested-read-through-l1",
    "revalidate-before-listening",
    "heartbeat-answered-after",
    "old-identity-trusted",
}


def simulator(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cacheaside.testing.simulator", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_checkers_catch(mutant: Mutant) -> None:
    """Every broken variant of the library breaks a promise within a bounded number of schedules."""
    run = simulator(
        "--world", mutant.world, "--mutant", mutant.name, "--given", mutant.given,
        "--schedules", str(SCHEDULES_MAX), "--json",
    )  # fmt: skip
    assert run.stdout, f"{mutant.name} cannot be applied: write it again for the new text\n{run.stderr}"
    found: dict[str, Any] | None = json.loads(run.stdout)["failure"]
    assert found is not None, f"{mutant.name}: {mutant.what}. Not caught in {SCHEDULES_MAX} schedules."
    failure = Failure(**{**found, "sizes": Sizes(**found["sizes"])})
    print(f"{failure.rule}: {failure.what}\nreplay: {command(failure, mutant.name)}")
    assert failure.rule in PROMISES


def test_every_variant_that_the_protocol_names_is_kept() -> None:
    """The variants named by the protocol, as far as what they break exists, are all among the mutants."""
    assert {mutant.name for mutant in MUTANTS if mutant.named} == NAMED


def test_names_tell_mutants_apart() -> None:
    """No two mutants share a name, since the name is what replays one."""
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_a_mutant_whose_text_is_gone_says_so(tmp_path: Any) -> None:
    """A replacement that no longer fits the source is an error that names the module and the text."""
    code = (
        "import sys; from cacheaside.testing.simulator.mutation import Finder\n"
        "from cacheaside.testing.simulator.mutants import Edit\n"
        "sys.modules.pop('cacheaside.flow.write')\n"
        "sys.meta_path.insert(0, Finder([Edit('cacheaside.flow.write', 'no such text', '')]))\n"
        "import importlib; importlib.import_module('cacheaside.flow.write')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode != 0
    assert "cacheaside.flow.write holds this text 0 times, not once:\nno such text" in run.stderr
