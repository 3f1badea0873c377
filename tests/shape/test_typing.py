"""What users see of the types, through both families of checkers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shape.checkout import ROOT, under

# Tests written for type checkers: `assert_type` of what users call, and errors that must be found, each suppressed by
# its name, so that a checker that no longer finds it complains about a needless suppression.
CASES = under("tests/typing")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A module of this environment, which is also the one whose packages the checkers look at."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)


@pytest.mark.parametrize(
    "checker", [["mypy", "--strict"], ["basedpyright", "--warnings"]], ids=lambda it: it[0]
)
def test_users_see_the_types_that_are_promised(checker: list[str]) -> None:
    """What a decorated function takes and gives is what it was declared with, for mypy and for pyright."""
    assert CASES, "tests/typing holds what the checkers are asked"
    done = run(*checker, *CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_exported_type_is_known() -> None:
    """No symbol that can be imported has a type that a checker cannot tell."""
    done = run("basedpyright", "--verifytypes", "cacheaside", "--ignoreexternal", "--outputjson")
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    exported = {symbol["name"]: symbol for symbol in symbols if symbol["isExported"]}
    assert "cacheaside.Cache" in exported
    unknown = [
        name
        for name, symbol in exported.items()
        if not symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
    ]
    assert unknown == []
