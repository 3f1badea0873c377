"""The demo as its users start it: real rows, real processes, a real clock."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
DEMO = [sys.executable, "-m", "cacheaside.demo"]
pytestmark = pytest.mark.xdist_group("demo")  # it measures: several at once would only measure each other


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the built database is kept; shared by this module's runs, and away from the user's own."""
    return tmp_path_factory.mktemp("cache-home")


@pytest.fixture
def environment(cache_home: Path, tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary files can be counted."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "XDG_CACHE_HOME": str(cache_home), "TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "80"}


@pytest.fixture
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    """Fails a test whose run left temporary files behind."""
    yield
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == []


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def sound(phase: dict[str, Any]) -> bool:
    verdict = phase["staleness"]
    broken = (
        verdict["stale_serves"]
        + verdict["beyond_contract"]
        + verdict["impossible"]
        + phase["failed_requests"]
    )
    return verdict["responses_checked"] > 0 and broken == 0


@pytest.mark.usefixtures("_nothing_left")
def test_a_short_run_reports_both_phases(environment: dict[str, str]) -> None:
    """Two seconds of load give a report in which the cache saves queries and no response is staler than allowed."""
    done = run(environment, "--seconds", "2", "--seed", "7", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    without, with_ = report["without_cache"], report["with_cache"]
    assert report["seed"] == 7
    assert sound(without)
    assert sound(with_)
    assert without["hit_rate"] == 0.0
    assert with_["hit_rate"] > 0.2
    assert with_["queries_per_request"] < without["queries_per_request"]
    assert min(without["changes"], with_["changes"]) > 10
    assert set(with_["endpoints"]) == {"flight", "board", "plane"}
    assert re.search(r"^with the cache +1\.\d s ", done.stderr, flags=re.MULTILINE)


@pytest.mark.usefixtures("_nothing_left")
def test_the_check_fails_when_invalidation_is_switched_off(environment: dict[str, str]) -> None:
    """With changes that the cache is not told of, stale serves are found and the run fails."""
    done = run(environment, "--seconds", "4", "--seed", "7", "--json", "--without-invalidation")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert sound(report["without_cache"])
    found = report["with_cache"]["staleness"]
    assert found["beyond_contract"] == found["stale_serves"] > 10
    assert found["oldest_stale_ms"] > 100
    assert found["impossible"] == 0
    assert re.search(r"not yet version \d+ of flight \d+", found["examples"][0])


@pytest.mark.usefixtures("_nothing_left")
def test_lines_of_text_fit_a_narrow_terminal_without_colour(environment: dict[str, str]) -> None:
    """Without a terminal, even in ASCII, there is no control sequence and the final table fits 80 columns."""
    done = run({**environment, "PYTHONIOENCODING": "ascii"}, "--seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    table = done.stdout.split("without the cache  with the cache", 1)[1]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert "No stale serve beyond the contract" in table


@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize(
    ("moment", "processes"), [("starting", 0), ("without the cache", 4)], ids=["starting", "working"]
)
def test_ctrl_c_ends_it_cleanly(environment: dict[str, str], moment: str, processes: int) -> None:
    """Interrupted while processes start or work, it ends at once with code 130, no traceback and no process left."""
    with subprocess.Popen(
        [*DEMO, "--seconds", "40"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(moment))
        children = _children_of(process.pid)
        assert len(children) >= processes
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert rest.endswith("stopped\n")
    assert complaints == ""
    assert not any(_exists(pid) for pid in children)


def test_children_do_not_outlive_a_parent_that_was_killed(environment: dict[str, str]) -> None:
    """Killed without a chance to say so, the parent's end is the end of its children."""
    with subprocess.Popen(
        [*DEMO, "--seconds", "40"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("without the cache"))
        children = _children_of(process.pid)
        assert len(children) == 4
        process.kill()
    deadline = time.monotonic() + 20
    while any(_exists(pid) for pid in children):
        assert time.monotonic() < deadline, f"still running: {children}"
        time.sleep(0.02)


@pytest.mark.usefixtures("_nothing_left")
def test_wrong_arguments_are_refused(environment: dict[str, str]) -> None:
    """Arguments that make no sense are named, with code 2, before anything is started."""
    for arguments, said in (
        (["--seconds", "0"], "not above 0"),
        (["--connections", "0"], "not between 1 and"),
    ):
        done = run(environment, *arguments)
        assert (done.returncode, said in done.stderr) == (2, True)


def _children_of(parent: int) -> set[int]:
    """The processes that `parent` started and that still run."""
    if PROC.is_dir():
        # After the name in brackets come the state and the parent.
        listed = {}
        for stat in PROC.glob("[0-9]*/stat"):
            with suppress(OSError):  # it ended meanwhile
                listed[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    else:
        lines = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        listed = {int(pid): int(ppid) for pid, ppid in map(str.split, lines.splitlines())}
    return {pid for pid, ppid in listed.items() if ppid == parent}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
