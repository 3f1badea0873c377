"""What is still to be put right, written down before anything is broken: a drill that is killed leaves a file behind,
and `drill restore` does what it says.

No password is written down: `restore` is told it again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

__all__ = ["Journal", "RestoreConfig", "Undo", "default_folder", "left_behind", "without_password"]

FILES_MAX: Final = 1_000
"""How many files of a folder are looked at."""
_SUFFIX: Final = ".restore.json"


class RestoreConfig(Struct, frozen=True, tag="config"):
    """Set a directive of a server to what it was. url: without its password; user: whether one is needed."""

    url: str
    secret: bool
    name: str
    value: str

    def __str__(self) -> str:
        return f"CONFIG SET {self.name} {self.value} at {self.url}"


Undo = RestoreConfig


class Owed(Struct, frozen=True):
    """The file's content."""

    drill: str
    undo: Undo


class Journal:
    """One drill's file in `folder`, there only while something is broken. It is locked while the drill lives."""

    def __init__(self, folder: Path, drill: str) -> None:
        self._folder = folder
        self._drill = drill
        self._lock: int | None = None
        self.path = folder / f"{drill}-{os.getpid()}{_SUFFIX}"

    def owe(self, undo: Undo | None) -> None:
        """Write down what will be to be put right, *before* anything is broken: (1) a fault is begun (2) the drill is
        killed (3) nobody knows what it was. None: nothing will be that does not end with this process."""
        if undo is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.path.with_suffix(".part")
        self._lock = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.write(self._lock, msgspec.json.encode(Owed(self._drill, undo)))
        os.fsync(self._lock)
        part.rename(self.path)

    def paid(self) -> None:
        """It has been put right."""
        if self._lock is not None:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """The drill is over. What was not paid stays, for `restore`."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def left_behind(folder: Path) -> list[tuple[Path, Owed]]:
    """The files of drills that are gone, with what each owes. Those of drills under way are left alone."""
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}"))[:FILES_MAX]:
        with suppress(OSError, msgspec.MsgspecError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # BlockingIOError: its drill is under way
                found.append((path, msgspec.json.decode(path.read_bytes(), type=Owed)))
            finally:
                os.close(handle)
    return found


def default_folder() -> Path:
    """Where the files are unless said otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "cacheaside" / "drills"


def without_password(url: str) -> tuple[str, bool]:
    """The same server without its credentials, and whether there were any."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        (parts.scheme, host, parts.path, "", "")
    ), "@" in parts.netloc or "password" in parts.query
