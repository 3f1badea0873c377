"""Real processes behind one port: whichever is scraped answers for all, whoever is killed, and however."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("worker.py")
Numbers = dict[tuple[str, ...], float]
COUNTED = ("_total", "_bucket", "_sum", "_count")


class Process:
    """One worker, or a prefork server with several."""

    def __init__(self, folder: Path, children: int = 0) -> None:
        self.ran = subprocess.Popen(
            [sys.executable, "-W", "error", str(WORKER), str(folder), str(children)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        )

    def do(self, command: str, number: int = 0, child: int | None = None) -> Any:
        assert self.ran.stdin is not None
        assert self.ran.stdout is not None
        self.ran.stdin.write(f"{'-' if child is None else child} {command} {number}\n")
        self.ran.stdin.flush()
        return json.loads(self.ran.stdout.readline())

    def scrape(self, child: int | None = None) -> Numbers:
        return {
            (sample.name, *[value for _, value in sorted(sample.labels.items())]): sample.value
            for family in parse(self.do("scrape", child=child))
            for sample in family.samples
        }

    def kill(self) -> None:
        self.ran.kill()
        self.ran.wait(10)

    def end(self) -> None:
        """As a server asks its workers to go: they finish, and say what they still have to."""
        assert self.ran.stdin is not None
        self.ran.stdin.close()
        assert self.ran.wait(10) == 0


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Every process that a test starts, so that none is left."""
    made: list[Process] = []
    yield made
    for one in made:
        with suppress(ProcessLookupError):
            os.killpg(one.ran.pid, signal.SIGKILL)  # it, and the children it forked: a session of their own
        assert one.ran.stdin is not None
        assert one.ran.stdout is not None
        one.ran.stdin.close()
        one.ran.stdout.read()  # until the last of them is gone
        one.ran.stdout.close()
        one.ran.wait(10)


def start(started: list[Process], folder: Path, children: int = 0) -> Process:
    one = Process(folder, children)
    started.append(one)
    one.do("pid")
    return one


def hits(found: Numbers) -> float:
    return found["cacheaside_reads_total", "shop", "rows", "l1"]


def loads(found: Numbers) -> float:
    return found["cacheaside_loads_total", "shop", "rows"]


def test_whichever_is_scraped_answers_for_all(started: list[Process], tmp_path: Path) -> None:
    """Counters and histograms are added up, and gauges of the living are, in every process alike."""
    workers = [start(started, tmp_path) for _ in range(3)]
    for number, worker in enumerate(workers, 1):
        worker.do("read", 10 * number)
        worker.do("written")
    for worker in workers:
        found = worker.scrape()
        assert (hits(found), loads(found)) == (9 + 19 + 29, 3)
        assert found["cacheaside_fill_seconds_count", "shop", "rows"] == 3
        assert found["cacheaside_fill_seconds_bucket", "shop", "rows", "+Inf"] == 3
        assert found["cacheaside_entries", "shop", "rows"] == 3
        assert found["cacheaside_processes", "shop"] == 3
        assert found["cacheaside_snapshot_age_seconds", "shop"] < 30


def test_one_that_is_killed_leaves_what_it_counted(started: list[Process], tmp_path: Path) -> None:
    """After SIGKILL its counters stay and its gauges go; a restart adds to them, and the dead are one file."""
    first, second = start(started, tmp_path), start(started, tmp_path)
    first.do("read", 100)
    first.do("written")
    second.do("read", 10)
    before = second.scrape()
    first.kill()
    after = second.scrape()
    assert (hits(before), hits(after)) == (99 + 9, 99 + 9)
    assert (before["cacheaside_processes", "shop"], after["cacheaside_processes", "shop"]) == (2, 1)
    assert after["cacheaside_entries", "shop", "rows"] == 1
    third = start(started, tmp_path)
    third.do("read", 5)
    found = third.scrape()
    assert (hits(found), loads(found), found["cacheaside_processes", "shop"]) == (99 + 9 + 4, 3, 2)
    assert len(list(tmp_path.glob("*.lock"))) == 3  # two living, and that for adding up
    assert not list(tmp_path.glob("*.new"))


def test_one_that_ends_well_has_told_everything(started: list[Process], tmp_path: Path) -> None:
    """At its end a process writes what it had not yet written; nothing is lost, to the last read."""
    first, second = start(started, tmp_path), start(started, tmp_path)
    first.do("read", 1234)
    first.end()
    found = second.scrape()
    assert (hits(found), found["cacheaside_processes", "shop"]) == (1233, 1)


def test_all_may_end_and_the_sum_stays(started: list[Process], tmp_path: Path) -> None:
    """A deployment that replaces every process goes on where the last one was."""
    for number in range(1, 3):
        one = start(started, tmp_path)
        one.do("read", 11)
        one.do("written")
        one.kill()
        last = start(started, tmp_path)
        found = last.scrape()
        assert (hits(found), loads(found)) == (10 * number, number)
        last.end()


def test_a_server_that_forks_its_workers(started: list[Process], tmp_path: Path) -> None:
    """The application is loaded, used and then forked: each worker counts from zero in a file of its own, and what the
    parent counted is counted once. Killed workers leave what they had."""
    server = start(started, tmp_path, children=3)
    server.do("read", 101)
    pids = server.do("fork")
    assert "cacheaside-numbers" in server.do("threads")
    server.do("written")
    for child in range(3):
        assert "cacheaside-numbers" in server.do("threads", child=child)
        server.do("read", 10, child=child)
        server.do("written", child=child)
    # A child goes on with what was held: its reads are hits.
    found = server.scrape(child=1)
    assert (hits(found), loads(found)) == (100 + 30, 1)
    assert found["cacheaside_processes", "shop"] == 4
    os.kill(pids[0], signal.SIGKILL)
    assert server.do("reap") == pids[0]
    for scraped in (None, 1, 2):
        found = server.scrape(child=scraped)
        assert (hits(found), loads(found)) == (100 + 30, 1)
        assert found["cacheaside_processes", "shop"] == 3


def test_nothing_ever_goes_back(started: list[Process], tmp_path: Path, seed: int) -> None:
    """Through random reads, kills, ends and restarts, scraped at whichever process: no counter and no bucket falls,
    and none is more than what was done."""
    chance = random.Random(seed)
    workers = [start(started, tmp_path) for _ in range(3)]
    highest: Numbers = {}
    done = 0
    for _ in range(40):
        worker = chance.choice(workers)
        step = chance.random()
        if step < 0.45:
            worker.do("read", number := chance.randrange(1, 50))
            done += number
        elif step < 0.85:
            found = worker.scrape()
            for series, value in found.items():
                if series[0].endswith(COUNTED):
                    assert value >= highest.get(series, 0.0), (series, seed)
                    highest[series] = value
            assert hits(found) + loads(found) <= done
        else:
            (worker.kill if step < 0.95 else worker.end)()
            workers[workers.index(worker)] = start(started, tmp_path)
    assert highest
    for worker in workers:
        worker.do("written")
    for series, value in workers[0].scrape().items():
        assert value >= highest.get(series, 0.0)
