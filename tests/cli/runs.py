"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it wrote, as JSON."""
        return json.loads(self.out)


def cacheaside(*arguments: str, cwd: Path = ROOT, columns: int = 100, **environ: str) -> Ran:
    """Run `python -m cacheaside` in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CACHEASIDE_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cacheaside", *arguments],
        cwd=cwd,
        env={**kept, "COLUMNS": str(columns), "NO_COLOR": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
