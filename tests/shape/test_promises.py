"""What the files around the code promise, and the code they promise it for."""

from __future__ import annotations

import re

from tests.shape.checkout import ROOT, pyproject


def test_the_changelog_begins_with_this_version() -> None:
    """The first version in the changelog is the package's, so that no release goes out undescribed."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+[^\]\s]*)", text, flags=re.MULTILINE)
    assert versions[:1] == [pyproject()["project"]["version"]]


def test_the_readme_names_the_two_commands() -> None:
    """A newcomer finds the two commands in the README, as commands that can be copied."""
    commands = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert {"python3 dev.py demo", "python3 dev.py test"} <= {
        line.split("#")[0].strip(" $`") for line in commands
    }


def test_what_is_checked_is_what_the_readme_names() -> None:
    """The check that a change must pass runs the README's test command and nothing else."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    steps = [line for line in script if line and not line.startswith(("#", "set ", "cd "))]
    assert steps == ["exec python3 dev.py test"]


def test_the_licence_is_whole() -> None:
    """The licence that the metadata names lies in the checkout in full."""
    assert pyproject()["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_every_exception_to_a_check_has_a_reason() -> None:
    """A rule that is switched off for some files has its reason on the same line."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(
        r"^\[tool\.ruff\.lint\.per-file-ignores\]\n(.*?)^\[", text, flags=re.MULTILINE | re.DOTALL
    )
    assert section is not None
    rules = [line for line in section[1].splitlines() if re.search(r'"[A-Z]+[0-9]*"', line)]
    assert rules
    assert [line for line in rules if "#" not in line] == []
