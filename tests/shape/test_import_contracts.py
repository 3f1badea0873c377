"""The floor plan holds, and what breaks it is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.shape.checkout import ROOT, SOURCE, pyproject

if TYPE_CHECKING:
    from pathlib import Path

LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_logo=True, no_cache=True))
"""


def lint(source: Path) -> tuple[bool, str]:
    """Whether the contracts of pyproject.toml hold for the package below `source`, and what was said."""
    environ = {**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1", "COLUMNS": "300"}
    done = subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, env=environ, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be broken."""
    shutil.copytree(SOURCE, tmp_path / "cacheaside", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_contracts_hold() -> None:
    """Every floor imports only from below, siblings stay apart, and the pure floors are pure."""
    kept, said = lint(SOURCE.parent)
    assert kept, said


def test_every_pure_floor_is_held_to_it() -> None:
    """Keys, values, policy, mapping and the flows are pure, each from the day it is there."""
    there = {
        f"cacheaside.{name}"
        for name in ("keys", "values", "policy", "mapping", "flow")
        if (SOURCE / name).is_dir()
    }
    (pure,) = (
        contract for contract in pyproject()["tool"]["importlinter"]["contracts"] if contract["id"] == "pure"
    )
    assert set(pure["source_modules"]) == there


FLOORS = "each floor imports only from below"
PURE = "decisions and flows touch no clock"


@pytest.mark.parametrize(
    ("where", "broken", "contract"),
    [
        ("errors.py", "import cacheaside.policy.verdict", FLOORS),
        ("policy/verdict.py", "import cacheaside.keys", FLOORS),
        ("runtime/clock.py", "import cacheaside.testing", FLOORS),
        ("stray.py", "", FLOORS),
        ("policy/verdict.py", "import time", PURE),
        ("flow/read.py", "import asyncio", PURE),
        ("contract.py", "from redis import Redis", PURE),
    ],
)
def test_what_breaks_a_contract_is_found(copy: Path, where: str, broken: str, contract: str) -> None:
    """A module that reaches up, sideways or for a clock, or that stands on no floor, breaks a contract."""
    path = copy / "cacheaside" / where
    path.write_text((path.read_text() if path.exists() else '"""New."""\n') + f"\n{broken}\n")
    kept, said = lint(copy)
    assert not kept
    assert any(line.startswith(contract) and line.endswith("BROKEN") for line in said.splitlines()), said
