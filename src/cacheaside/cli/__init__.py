"""The command line: `cacheaside COMMAND`, or `python -m cacheaside COMMAND`. Start at `registry.py`.

It needs the extra `cli` (typer and rich). This module imports neither, so that whoever lacks them is told so in a line.

Exit codes: 0: done, and nothing found. 1: something was found, or the command failed. 2: it was asked in a way that
cannot work (an unknown option, an app that is not there, an argument that does not fit).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

_EXTRA: Final = ("typer", "rich", "click")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` (None: those of the process); the exit code."""
    try:
        from cacheaside.cli.registry import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f"The command line needs {error.name}, which is not installed: pip install 'cacheaside[cli]'\n"
        )
        return 2
    return run(arguments)
