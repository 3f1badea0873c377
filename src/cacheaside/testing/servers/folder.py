"""The folder a server lives in, and the removal of those whose owner died without removing them."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PID_FILE", "Folder", "reap_stale"]

PREFIX: Final = "cacheaside-server-"
PARENT_CHARS_MAX: Final = 72
SHORT: Final = Path("/tmp")  # noqa: S108 - `mkdtemp` makes it this user's own
PID_FILE: Final = "server.pid"
_LOCK_FILE: Final = "owner.lock"


class Folder:
    """A folder of one server, removed by `remove`, or by any later run once this process is gone.

    This process holds a lock on a file in it for as long as it lives; a lock needs no check whether some number is
    still the same process.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_parent()))
        # Locked before it has its name: a reaper that found it unlocked would take its owner for dead.
        unnamed = self.path / "unnamed.lock"
        self._lock: int | None = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / _LOCK_FILE)

    def remove(self) -> None:
        """Remove it and what is in it. Twice is once."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _parent() -> Path:
    """The folder for temporary files; a short one where its name is long, as the path of a unix socket may not be."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= PARENT_CHARS_MAX or not SHORT.is_dir() else SHORT


def reap_stale(parent: Path | None = None) -> int:
    """End servers whose owner is gone and remove their folders, below the folder for temporary files; how many.

    A folder that another user owns, or that is only just being made (no lock in it yet), is left alone.
    """
    reaped = 0
    for path in (parent or _parent()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            reaped += _reap(path)
    return reaped


def _reap(path: Path) -> bool:
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        return False
    lock = os.open(path / _LOCK_FILE, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its owner lives
        with suppress(OSError, ValueError):
            pid = int((path / PID_FILE).read_text(encoding="ascii"))
            if str(path) in _command_of(pid):  # else the number is another process's by now
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
    return True


def _command_of(pid: int) -> str:
    """The command line of a process; empty when there is none."""
    if Path("/proc/self").exists():
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout
