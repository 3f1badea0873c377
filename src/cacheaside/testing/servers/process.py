"""One server program as a child process: started, ended, killed, stopped in its tracks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from cacheaside.testing.servers.folder import PID_FILE

__all__ = ["Process", "ServerFailed"]

ENDING_S: Final = 5.0
"""How long a server that is told to end may take, before it is killed."""
_LAST_WORDS_BYTES: Final = 600


class ServerFailed(RuntimeError):
    """A server did not start, ended by itself, or did not become ready; carries the end of its log."""


class Process:
    """A running program.

    It dies with this process: at once where `setpriv` is there, else by `atexit`, or by the next run's reaping.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self._log = folder / "log"
        # Where the kernel ends a child because its parent died, "parent" means the thread that forked it. So all are
        # forked by one thread that lives as long as the process, whoever asks.
        self._child = _spawner(os.getpid()).submit(_spawn, command, folder, self._log).result()
        (folder / PID_FILE).write_text(str(self._child.pid), encoding="ascii")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """False once it ended, however; true while frozen."""
        return self._child.poll() is None

    def last_words(self) -> str:
        """The end of what it printed, on one line."""
        try:
            text = self._log.read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace")
        except OSError:
            return ""
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    def end(self) -> None:
        """Ask it to end, and see to it that it has when this returns. A frozen one is thawed for it."""
        if self.is_running:
            self._child.send_signal(signal.SIGTERM)
            self._child.send_signal(signal.SIGCONT)
            try:
                self._child.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self._child.kill()
        self._child.wait()

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nothing answers. It stands still when this returns."""
        self._child.send_signal(signal.SIGSTOP)
        if hasattr(os, "waitid") and self.is_running:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it was, and answers what it was asked meanwhile."""
        self._child.send_signal(signal.SIGCONT)


def _spawn(command: Sequence[str | Path], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as printed:
        return subprocess.Popen(  # noqa: S603
            [*_dying_with_parent(), *map(str, command)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the tests, which end the server in order
        )


@cache
def _dying_with_parent() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


@cache
def _spawner(pid: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a child made by fork needs a thread of its own
    return ThreadPoolExecutor(1, "cacheaside-test-servers")
