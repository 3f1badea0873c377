"""The checkout as the tests of its shape see it: where it is, and which files are part of it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "cacheaside"
# Only where there is no git to ask (an unpacked sdist): what is made there and not part of it.
_MADE = {".venv", ".venv-bench", "dist", "__pycache__"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that is part of the project: tracked, or about to be."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
            "\0"
        )
        found = [ROOT / name for name in names if name]
    else:
        found = [path for path in ROOT.rglob("*") if not _MADE & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(path for path in found if path.is_file()))


def under(folder: str, suffix: str = ".py") -> list[Path]:
    """The files of the project below `folder` whose names end in `suffix`."""
    return [path for path in files() if path.is_relative_to(ROOT / folder) and path.name.endswith(suffix)]


def texts() -> dict[str, str]:
    """The text of every file of the project that is text, by its path in the checkout."""
    found = {}
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(ROOT).as_posix()] = content.decode("utf-8")
    return found


def lines_matching(pattern: re.Pattern[str], names: str | tuple[str, ...] = "") -> list[str]:
    """`path:line: text` of each line that `pattern` finds, in all files or in those whose paths start so."""
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts().items()
        if name.startswith(names)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
