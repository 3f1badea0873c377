"""Drills of a service that is not the drill's own, through the command line as its users have it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.testing.servers import Server
from tests.cli.runs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WARM = "import asyncio; from tests.drill import service; asyncio.run(service.warm()); service.cache.close()"
pytestmark = pytest.mark.xdist_group("demo")


class Command:
    """`cacheaside drill` against a server, with a folder of its own for what is to be restored."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.state = folder / "state"
        self.target = f"shop@127.0.0.1:{server.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CACHEASIDE_")}
        self.environ = {
            **kept,
            "CACHEASIDE_URL": server.url,
            "XDG_STATE_HOME": str(self.state),
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }

    def words(self, *words: str, ask: str = "ask") -> list[str]:
        return [
            *(sys.executable, "-m", "cacheaside", "drill", *words),
            *(
                "--target",
                self.server.url,
                "--namespace",
                "shop",
                "--before",
                "1",
                "--after",
                "6",
                "--rate",
                "60",
            ),
            *("--ask", f"tests.drill.service:{ask}", "--source", "tests.drill.service:source"),
            *("--capacity", "200", "--concurrency", "4"),
        ]

    def start(self, *words: str, ask: str = "ask") -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words, ask=ask),
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, ask: str = "ask") -> tuple[int, str, str]:
        process = self.start(*words, ask=ask)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err

    @property
    def maxmemory(self) -> str:
        return str(self.server.ask("CONFIG", "GET", "maxmemory")[1])

    def until_broken(self, process: subprocess.Popen[str]) -> None:
        """Wait until the drill has lowered maxmemory."""
        end = time.monotonic() + 30.0
        while self.maxmemory == "500000000":
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "the drill never began"
            time.sleep(0.02)

    def files(self) -> list[str]:
        """What is still to be restored."""
        return [path.name for path in self.state.rglob("*.json")]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with Server(config={"maxmemory-policy": "allkeys-lru", "maxmemory": "500000000"}) as server:
        made = Command(server, tmp_path)
        subprocess.run([sys.executable, "-c", WARM], cwd=ROOT, env=made.environ, check=True, timeout=60)
        yield made


def test_nothing_is_touched_without_the_target_in_the_users_words(command: Command) -> None:
    """No --yes, or that of another server: exit code 2, and every key where it was."""
    before = command.server.ask("DBSIZE")
    for yes in ([], ["--yes", "shop@cache-2:6379"]):
        code, _, err = command.run("flush", *yes)
        assert code == 2
        assert f"--yes {command.target}" in err
    assert command.server.ask("DBSIZE") == before


def test_a_dry_run_does_nothing(command: Command) -> None:
    """It prints the steps with their target, and asks nobody."""
    command.server.freeze()  # who asked it would hang
    code, out, _ = command.run("eviction-storm", "--dry-run", "--share", "0.5")
    command.server.thaw()
    assert code == 0
    assert command.target in out
    assert "50%" in out
    assert "call it off and restore, when more than" in " ".join(out.split())
    assert command.maxmemory == "500000000"


def test_a_flush_of_a_users_service(command: Command, tmp_path: Path) -> None:
    """Its keys go and come back, those of others stay, and the report has the source's own numbers."""
    command.server.ask("SET", "other:1", "another's")
    code, out, err = command.run(
        "flush", "--yes", command.target, "--json", "--out", str(tmp_path / "report")
    )
    report: dict[str, Any] = json.loads(out)
    assert (code, report["verdict"]) == (0, "held"), (err, report["findings"])
    assert report["peak_running"] in (1, 2, 3, 4)
    assert report["before"]["hits"] > 0.9
    assert report["recovery_s"] is not None
    assert command.server.ask("GET", "other:1") == "another's"
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "flush.html",
        "flush.json",
        "flush.md",
    ]


def test_a_failing_service_calls_a_drill_off(command: Command) -> None:
    """Nobody breaks what is broken: with errors above the condition it is called off before its fault."""
    code, out, _ = command.run("eviction-storm", "--yes", command.target, "--json", ask="broken")
    report = json.loads(out)
    assert (code, report["verdict"]) == (3, "aborted")
    assert "100% of requests failed" in report["aborted"]
    assert command.maxmemory == "500000000"


def test_called_off_during_the_fault_it_is_restored(command: Command) -> None:
    """A condition that is met while something is broken puts it right."""
    words = ("--yes", command.target, "--seconds", "60", "--abort-running", "1")
    code, out, err = command.run("eviction-storm", *words, "--json")
    report = json.loads(out)
    assert (code, report["verdict"]) == (3, "aborted"), err
    assert any("500000000 again" in said for said in report["evidence"])
    assert command.maxmemory == "500000000"
    assert command.files() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_restores(command: Command, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM in the middle of a fault: maxmemory is what it was, and nothing is left to restore."""
    process = command.start("eviction-storm", "--yes", command.target, "--seconds", "60", "--share", "0.2")
    command.until_broken(process)
    assert command.files() != []
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "restored" in err
    assert command.maxmemory == "500000000"
    assert command.files() == []


def test_after_kill_9_restore_puts_it_right(command: Command) -> None:
    """Nothing can be done at the moment; afterwards `drill restore` does what the file says."""
    process = command.start("eviction-storm", "--yes", command.target, "--seconds", "60", "--share", "0.2")
    command.until_broken(process)
    process.kill()
    process.communicate(timeout=30)
    assert command.maxmemory != "500000000"
    done = subprocess.run(
        [sys.executable, "-m", "cacheaside", "drill", "restore"],
        cwd=ROOT, env=command.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "restored: 1"), done.stderr
    assert command.maxmemory == "500000000"
    assert command.files() == []


def test_a_service_behind_the_proxy_meets_a_silent_server(command: Command, tmp_path: Path) -> None:
    """`drill proxy` passes on what the service says, a drill cuts it for a while, and it ends in order on SIGTERM."""
    upstream = f"127.0.0.1:{command.server.port}"
    words = ["proxy", "--upstream", upstream, "--proxy", str(tmp_path / "tap")]
    with subprocess.Popen(
        [sys.executable, "-m", "cacheaside", "drill", *words],
        cwd=ROOT, env=command.environ, stderr=subprocess.PIPE, text=True,
    ) as proxy:  # fmt: skip
        assert proxy.stderr is not None
        address = proxy.stderr.readline().split()[1]
        command.environ["CACHEASIDE_URL"] = f"redis://{address}/0"
        code, out, err = command.run(
            *("l2-frozen", "--yes", command.target, "--proxy", str(tmp_path / "tap"), "--seconds", "2"),
            *("--abort-running", "100", "--abort-errors", "1", "--json"),
        )
        proxy.terminate()
    assert proxy.returncode == 0
    report = json.loads(out)
    assert "no answer came through the proxy" in report["evidence"][0], err
    assert (code, report["verdict"]) == (0, "held"), report["findings"]
    assert report["during"]["hits"] < 0.9  # its memory answered for half a second, then everything was loaded
    assert report["after"]["hits"] > 0.9


def test_what_is_not_the_drills_is_not_killed(command: Command) -> None:
    """A user's server is neither killed nor frozen: the drill says what it would need."""
    pid = command.server.pid
    for name in ("l2-killed", "l2-frozen", "rolling-restart", "source-slow", "l2-slow"):
        code, _, err = command.run(name, "--yes", command.target)
        assert code == 2
        assert "Nothing was touched" in err
    assert command.server.pid == pid
    assert command.server.ask("PING") == "PONG"
