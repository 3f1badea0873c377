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

RARE: Final = {
    "as-of-ignored",
    "as-of-the-end",
    "everything-believed-late",
    "everything-known-for-ever",
    "forget-not-forgotten",
    "forgotten-once",
    "join-under-a-mark",
    "late-tags-without-heartbeat",
    "new-primary-new-clock",
    "owed-tags-stored",
    "owed-when-it-arrives",
    "own-bumps-unheard",
}
"""Found by chance in some thousands of schedules or not at all yet: searched for in the long run. None is named."""
RARE_SCHEDULES_MAX: Final = 400_000


def simulator(*arguments: str, timeout_s: float | None = 110) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cacheaside.testing.simulator", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def searched(mutant: Mutant, schedules_max: int, timeout_s: float | None) -> dict[str, Any]:
    run = simulator(
        "--world", mutant.world, "--mutant", mutant.name, "--given", mutant.given,
        "--schedules", str(schedules_max), "--json", timeout_s=timeout_s,
    )  # fmt: skip
    assert run.stdout, f"{mutant.name} cannot be applied: write it again for the new text\n{run.stderr}"
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def is_caught(mutant: Mutant, schedules_max: int, timeout_s: float | None) -> None:
    found = searched(mutant, schedules_max, timeout_s)["failure"]
    assert found is not None, f"{mutant.name}: {mutant.what}. Not caught in {schedules_max} schedules."
    failure = Failure(**{**found, "sizes": Sizes(**found["sizes"])})
    print(f"{failure.rule}: {failure.what}\nreplay: {command(failure, mutant.name)}")
    assert failure.rule in PROMISES


@pytest.mark.parametrize(
    "mutant", [one for one in MUTANTS if one.name not in RARE], ids=lambda mutant: mutant.name
)
def test_the_checkers_catch(mutant: Mutant) -> None:
    """Every broken variant of the library breaks a promise within a bounded number of schedules."""
    is_caught(mutant, SCHEDULES_MAX, 110)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "mutant", [one for one in MUTANTS if one.name in RARE], ids=lambda mutant: mutant.name
)
def test_the_checkers_catch_what_is_rare(mutant: Mutant) -> None:
    """Every broken variant that only few schedules tell from the library breaks a promise in a long search."""
    is_caught(mutant, RARE_SCHEDULES_MAX, None)


@pytest.mark.parametrize(
    "mutant", [one for one in MUTANTS if one.name in RARE], ids=lambda mutant: mutant.name
)
def test_a_rare_mutant_can_be_applied(mutant: Mutant) -> None:
    """A variant that is searched for in the long run alone still fits the source, and is none the protocol names."""
    searched(mutant, 1, 110)
    assert not mutant.named


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
