"""Behind uvicorn with workers, over HTTP: every scrape is of them all, whichever worker answers it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

ROOT = Path(__file__).parents[3]
WORKERS = 2


class Connection(http.client.HTTPConnection):
    """To a socket in the file system, so that no port is taken."""

    def __init__(self, path: Path) -> None:
        super().__init__("service", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))


class Service:
    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, what: str) -> str:
        connection = Connection(self.path)
        try:
            connection.request("GET", what)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()
        finally:
            connection.close()

    def numbers(self) -> dict[tuple[str, ...], float]:
        return {
            (sample.name, *[value for _, value in sorted(sample.labels.items())]): sample.value
            for family in parse(self.get("/metrics"))
            for sample in family.samples
        }

    def reads(self) -> float:
        found = self.numbers()
        return sum(value for series, value in found.items() if series[0] == "cacheaside_reads_total")


def until(ask: Callable[[], Any], is_so: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + 30.0
    while True:
        try:
            found = ask()
        except (OSError, http.client.HTTPException):  # nobody listens yet, or the one that did was killed
            found = None
        if found is not None and is_so(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.02)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    path = tmp_path / "socket"
    command = [
        "-m",
        "uvicorn",
        "tests.observe.processes.served:app",
        "--workers",
        str(WORKERS),
        "--uds",
        str(path),
    ]
    running = subprocess.Popen(
        [sys.executable, *command, "--log-level", "warning"],
        cwd=ROOT,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "numbers"),
        },
    )
    try:
        yield Service(path)
    finally:
        running.terminate()
        try:
            running.wait(20)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait(10)


def test_a_worker_that_is_killed_and_replaced(service: Service) -> None:
    """Reads of all workers are on every page, exactly; one that is killed is replaced by the server, and its counts
    stay; no page ever shows less than one before."""
    until(service.numbers, lambda found: found["cacheaside_processes", "shop"] == WORKERS)
    by_pid: Counter[str] = Counter()
    while len(by_pid) < WORKERS or by_pid.total() < 100:
        by_pid[service.get("/read")] += 1
    # Within 50 ms each has written: from then on every page has every read.
    until(service.reads, lambda reads: reads == by_pid.total())
    assert {service.reads() for _ in range(10)} == {by_pid.total()}
    killed = int(next(iter(by_pid)))
    os.kill(killed, signal.SIGKILL)
    lowest = by_pid.total()

    def has_another(found: dict[tuple[str, ...], float]) -> bool:
        reads = sum(value for series, value in found.items() if series[0] == "cacheaside_reads_total")
        assert reads == lowest
        return found["cacheaside_processes", "shop"] == WORKERS and not alive(killed)

    until(service.numbers, has_another)
    while len(by_pid) < WORKERS + 1:
        by_pid[until(lambda: service.get("/read"), bool)] += 1
    until(service.reads, lambda reads: reads == by_pid.total())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
