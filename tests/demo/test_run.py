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
UNSYNCED_S = 0.5
SHORT = ["--seconds", "6.5", "--seed", "7", "--max-unsynced", str(UNSYNCED_S)]
"""Outages of a second, in which L1 answers for half of it."""
PROCESSES = 2 * 3 + 2 + 1
"""Services of both sides, their loads, and the server."""
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
    broken = verdict["beyond_contract"] + verdict["impossible"] + phase["failed_requests"]
    return verdict["responses_checked"] > 0 and broken == 0


@pytest.mark.usefixtures("_nothing_left")
def test_a_short_run_lives_through_two_outages(environment: dict[str, str]) -> None:
    """A few seconds give a sound report: queries saved in quiet times; and in each outage L1 that falls silent in time,
    no error, changes that go on, and all of them told in the end."""
    done = run(environment, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["processes"] == 3
    without, with_ = report["without_cache"], report["with_cache"]
    assert sound(without)
    assert sound(with_)
    assert with_["queries_per_request"] < without["queries_per_request"]
    assert set(with_["endpoints"]) == {"flight", "board", "plane"}
    stages = {stage["name"].split()[-1]: stage for stage in report["stages"]}
    assert list(stages)[-4:] == ["killed", "back", "frozen", "thawed"]
    assert all(stage["requests"] and not stage["failed"] + stage["beyond"] for stage in stages.values())
    killed, frozen = report["outages"]
    assert (killed["emptied"], frozen["emptied"]) == (True, False)
    for outage in (killed, frozen):
        assert 0 < outage["l1_for_s"] < UNSYNCED_S < outage["seconds"]
        assert 0 < outage["owed"] <= outage["changes"]
        assert outage["told_after_s"] is not None
    assert re.search(r"^Valkey killed +\d\.\d s ", done.stderr, flags=re.MULTILINE)


@pytest.mark.usefixtures("_nothing_left")
def test_without_the_server_both_sides_are_one_process(environment: dict[str, str]) -> None:
    """With --no-l2 two seconds of load give a report in which the cache saves queries and nothing is stale at all."""
    done = run(environment, "--no-l2", "--seconds", "2", "--seed", "7", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    without, with_ = report["without_cache"], report["with_cache"]
    assert (report["seed"], report["processes"], report["tier"], report["outages"]) == (7, 1, None, [])
    assert sound(without)
    assert sound(with_)
    assert without["staleness"]["stale_serves"] == with_["staleness"]["stale_serves"] == 0
    assert without["hit_rate"] == 0.0
    assert with_["hit_rate"] > 0.2
    assert with_["queries_per_request"] < without["queries_per_request"]
    assert min(without["changes"], with_["changes"]) > 10
    assert re.search(r"^with the cache +1\.\d s ", done.stderr, flags=re.MULTILINE)


@pytest.mark.usefixtures("_nothing_left")
def test_the_check_fails_when_invalidation_is_switched_off(environment: dict[str, str]) -> None:
    """With changes that no cache is told of, stale serves are found, by other processes and by their own."""
    done = run(environment, *SHORT, "--json", "--without-invalidation")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert sound(report["without_cache"])
    found = report["with_cache"]["staleness"]
    assert found["stale_serves"] >= found["beyond_contract"] >= found["behind_own_process"] > 10
    assert found["oldest_stale_ms"] > 100
    assert found["impossible"] == 0
    assert re.search(r"not yet version \d+ of flight \d+", found["examples"][0])


@pytest.mark.usefixtures("_nothing_left")
def test_the_check_fails_when_one_process_is_deaf(environment: dict[str, str]) -> None:
    """A process that hears nothing of the others is found out by what it shows later than `max_unsynced`, and by
    answering from L1 in an outage; what it shows before that is what the others may show too."""
    done = run(environment, *SHORT, "--json", "--with-deaf-process")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    parts = [report["with_cache"]["staleness"], report["under_outages"]]
    assert sum(part["beyond_contract"] for part in parts) > 0
    assert sum(part["behind_others"] for part in parts) > 0
    assert sum(part["behind_own_process"] for part in parts) == 0
    assert max(part["oldest_behind_others_ms"] for part in parts) <= UNSYNCED_S * 1e3
    assert max(part["oldest_stale_ms"] for part in parts) > UNSYNCED_S * 1e3
    assert report["under_outages"]["l1_out_of_touch"] > 0
    said = [example for part in parts for example in part["examples"]]
    assert said
    assert all("process 0 answered from L1" in example for example in said)


@pytest.mark.usefixtures("_nothing_left")
def test_lines_of_text_fit_a_narrow_terminal_without_colour(environment: dict[str, str]) -> None:
    """Without a terminal, even in ASCII, there is no control sequence and the final table fits 80 columns."""
    done = run({**environment, "PYTHONIOENCODING": "ascii"}, "--seconds", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    table = done.stdout.split("without the cache  with the cache", 1)[1]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert "No stale serve beyond the contract" in table


@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize(
    ("moment", "processes"), [("starting", 1), ("without the cache", PROCESSES)], ids=["starting", "working"]
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
        assert len(children) == PROCESSES
        process.kill()
    deadline = time.monotonic() + 20
    while any(_exists(pid) for pid in children):
        assert time.monotonic() < deadline, f"still running: {children}"
        time.sleep(0.02)


@pytest.mark.usefixtures("_nothing_left")
def test_without_a_server_one_line_says_what_to_do(environment: dict[str, str]) -> None:
    """A server that is not there ends the run before it begins, with code 2 and one line that names the way without."""
    done = run({**environment, "CACHEASIDE_TEST_SERVER": "no-such-program"})
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert "--no-l2" in line
    assert done.stderr == ""


@pytest.mark.usefixtures("_nothing_left")
def test_a_users_own_server_is_left_alone(environment: dict[str, str]) -> None:
    """What the environment says of a shared tier is for the user's services, not for the demo."""
    theirs = {**environment, "CACHEASIDE_URL": "redis://127.0.0.1:1/0", "CACHEASIDE_MAX_UNSYNCED": "nonsense"}
    done = run(theirs, "--no-l2", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_nothing_left")
def test_wrong_arguments_are_refused(environment: dict[str, str]) -> None:
    """Arguments that make no sense are named, with code 2, before anything is started."""
    done = run(environment, "--no-l2", "--processes", "2")
    assert (done.returncode, "--no-l2 is one process" in done.stderr) == (2, True)


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
