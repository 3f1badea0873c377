"""A drill on servers of its own that is stopped: none of its processes outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.runs import ROOT

PROC = Path("/proc")
pytestmark = pytest.mark.xdist_group("demo")


def mine(mark: str) -> set[int]:
    """Processes whose environment has `mark`."""
    found = set()
    for path in PROC.glob("[0-9]*"):
        try:
            if (
                mark.encode() in (path / "environ").read_bytes()
                and "Z" not in (path / "stat").read_text().split()[2]
            ):
                found.add(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_drill(number: signal.Signals, tmp_path: Path) -> None:
    """Stopped while its server is frozen, however: the server, the source, the services and the load all end."""
    mark = f"DRILL_MARK={tmp_path.name}-{number}"
    name, _, value = mark.partition("=")
    kept = {key: kept for key, kept in os.environ.items() if not key.startswith("CACHEASIDE_")}
    with subprocess.Popen(
        [sys.executable, "-m", "cacheaside", "drill", "l2-frozen", "--before", "1", "--seconds", "60", "--rate", "50"],
        cwd=ROOT, env={**kept, name: value, "NO_COLOR": "1", "XDG_STATE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("breaking"):
                break
        assert len(mine(mark)) >= 6
        process.send_signal(number)
        process.stderr.read()
        code = process.wait(30)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    end = time.monotonic() + 10.0
    while mine(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert mine(mark) == set()
