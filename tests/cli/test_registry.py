"""The command line as a whole: how it is started, how it ends, what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cacheaside.cli.registry import COMMANDS
from tests.cli.runs import ROOT, cacheaside
from tests.shape.checkout import pyproject


def test_help_names_every_command() -> None:
    """`--help` lists each command with a line about it, and the exit codes."""
    ran = cacheaside("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert command.__name__ in ran.out
        assert command.__doc__
    assert "Exit codes: 0" in ran.out


@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
@pytest.mark.parametrize("columns", [80, 120])
def test_every_command_has_help_and_json(command: str, columns: int) -> None:
    """Each command says what it is for and has --json; its help fits the terminal."""
    ran = cacheaside(command, "--help", columns=columns)
    assert ran.code == 0
    assert "--json" in ran.out
    assert max(map(len, ran.out.splitlines())) <= columns


def test_what_stands_between_colons_is_no_picture() -> None:
    """Names, keys and errors are shown to the letter: rich would make a picture of `:x:`, `:key:` or `:id:`."""
    target = ("--target", "redis://127.0.0.1:1", "--namespace", "shop")
    ran = cacheaside("drill", "flush", "--ask", "nowhere:x", *target)
    assert (ran.code, ran.out) == (2, "")
    assert "--ask nowhere:x: ModuleNotFoundError" in ran.err


def test_no_command_waits_for_what_a_drill_needs() -> None:
    """redis-py, which drills alone need, is not imported for `explain` at night."""
    code = "import sys, cacheaside.cli.registry; print(sorted({'redis', 'markdown_it'} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
    ran = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_the_version_is_told() -> None:
    """`--version` needs no command."""
    ran = cacheaside("--version")
    assert (ran.code, ran.out) == (0, "cacheaside 0.1.0\n")


@pytest.mark.parametrize(
    "arguments", [["contracts", "--bogus"], ["nonsense"], ["contracts"], ["contracts", "--app", "nowhere"]]
)
def test_what_was_asked_wrongly_ends_with_2(arguments: list[str]) -> None:
    """Usage errors have an exit code of their own, and write nothing where results go."""
    ran = cacheaside(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "rror" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kill", "product"], "kill is a lever, and no command: cacheaside control kill …"),
        (
            ["--app", "shop:cache", "ramp", "product"],
            "ramp is a lever, and no command: cacheaside control ramp …",
        ),
        (["reset"], "cacheaside control reset …"),
        (["--app", "shop:cache", "doctor"], "--app stands after the command: cacheaside doctor --app …"),
        (["--app=shop:cache", "explain", "k"], "--app stands after the command: cacheaside explain --app …"),
        (["--json", "contracts"], "--json stands after the command: cacheaside contracts --json …"),
        (["drill"], "cacheaside drill list"),
    ],
)
def test_what_stands_in_the_wrong_place_is_told_its_own(arguments: list[str], words: str) -> None:
    """One line with the place, exit code 2, and no guess at another command."""
    ran = cacheaside(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_an_argument_that_is_called_like_a_lever_is_none() -> None:
    """What follows a command is the command's: an endpoint may be called `kill`, and `--help` is of all."""
    ran = cacheaside("contracts", "kill", "--app", "tests.cli.shopping:cache")
    assert "lever" not in ran.err
    assert "kill" in ran.err
    assert cacheaside("--help", "doctor").code == 0


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    """Without typer the command line says what to install, and nothing else."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no', name='typer')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from cacheaside.cli import main; "
    code += "sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "The command line needs typer, which is not installed: pip install 'cacheaside[cli]'\n"
    )


def test_the_entry_point_is_the_same_function() -> None:
    """What pip installs as `cacheaside` is what `python -m cacheaside` runs."""
    assert pyproject()["project"]["scripts"] == {"cacheaside": "cacheaside.cli:main"}
