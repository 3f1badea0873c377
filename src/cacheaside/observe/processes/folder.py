"""The folder that processes write their snapshots to, and read those of all others from.

```
1234-9f2c….lock     held by the process, and by the kernel's hand let go when it is gone
1234-9f2c….json     its last snapshot; replaced as a whole
ended.json          the sum of what those that ended have counted
fold.lock           held by whoever adds to it
```

Nobody waits for anybody. Reading needs no lock: it begins anew when `ended.json` was another one at its end. Else: (1)
a reader takes `ended.json` (2) another adds to it a process that ended, and removes its files (3) the reader finds no
such process: what it counted is in neither.

Adding one that ended to the sum has one moment at which it is done, the replacement of `ended.json`, which names it as
*folded*: files that still lie there by then are those of nobody, whoever is killed before they are removed.

The folder must be on this machine: locks and clock are those of one kernel. Containers may share it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from cacheaside.observe.processes.saved import FORMAT, Ended, Saved, Sum

__all__ = ["Folder", "Unreadable"]

log = logging.getLogger("cacheaside")

T = TypeVar("T", Saved, Ended)

FILE_BYTES_MAX: Final = 64 * 2**20
ATTEMPTS_MAX: Final = 20
SAID_MAX: Final = 100
"""Files that a process complains of, at most."""
_NEW: Final = ".new"
_LOCK: Final = ".lock"
_DATA: Final = ".json"
_ENDED: Final = "ended.json"
_FOLD: Final = "fold.lock"


class Unreadable(OSError):
    """The folder cannot be read as it is: the message says why."""


class Foreign(Unreadable):
    """A file of another version of this library, which is in use at the same time, or was."""


class _Any(msgspec.Struct, frozen=True):
    format: int


class Member:
    """This process, as one of those in the folder. Not for use by a child made by fork, but `abandon`."""

    def __init__(self, path: Path, name: str, descriptor: int) -> None:
        self._lock = path / f"{name}{_LOCK}"
        self._data = path / f"{name}{_DATA}"
        self._descriptor = descriptor

    @property
    def is_there(self) -> bool:
        """False when somebody emptied the folder."""
        try:
            there = self._lock.stat()
        except OSError:
            return False
        own = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)

    def write(self, one: Saved) -> None:
        """Replace its snapshot. Raises `OSError`; what was there before stays then."""
        _replace(self._data, msgspec.json.encode(one))

    def leave(self) -> None:
        """It counts among the ended from now on."""
        os.close(self._descriptor)

    def abandon(self) -> None:
        """In a child made by fork: the lock is the parent's, and is not let go by closing what was inherited of it."""
        os.close(self._descriptor)


class Folder:
    """Any number of processes, and in each any number of threads, may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said: set[str] = set()

    def join(self) -> Member:
        """Be one of the living, by a new name. Raises `OSError`.

        The lock is taken under a name that nobody looks for, and shown after. Else: (1) it is made (2) a reader takes
        it for that of one that ended (3) it is locked.
        """
        for _ in range(ATTEMPTS_MAX):
            self.path.mkdir(parents=True, exist_ok=True)
            name = f"{os.getpid()}-{os.urandom(8).hex()}"
            hidden = self.path / f"{name}{_LOCK}{_NEW}"
            descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                hidden.rename(self.path / f"{name}{_LOCK}")
            except (BlockingIOError, FileNotFoundError):  # taken for what one that was killed here has left
                os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return Member(self.path, name, descriptor)
        raise Unreadable(
            f"{self.path}: no file could be made in {ATTEMPTS_MAX} attempts, as each was removed."
        )

    def read(self, now_s: float) -> Sum:
        """The sum of all processes. Raises `OSError`."""
        for _ in range(ATTEMPTS_MAX):
            ended = self._ended()
            whole = Sum(ended)
            for name in self._names():
                if name in ended.folded:
                    continue
                alive = self._is_alive(name)
                one = self._snapshot(name)
                if one is not None:
                    whole.add(one, alive=alive, now_s=now_s)
            if self._ended().number == ended.number:
                return whole
        raise Unreadable(f"{self.path}: it changed {ATTEMPTS_MAX} times while it was read.")

    def fold(self) -> None:
        """Add those that ended to the sum, and remove their files, unless another is doing it. Raises `OSError`."""
        with self._folding() as mine:
            if not mine:
                return
            self._sweep()
            ended = self._ended()
            dead = [name for name in self._names() if not self._is_alive(name) and not self._is_foreign(name)]
            if not dead:
                return
            if any(name not in ended.folded for name in dead):
                whole = Sum(ended)
                for name in dead:
                    if name not in ended.folded:
                        one = self._snapshot(name)
                        if one is not None:
                            whole.add(one, alive=False)
                if whole.left_out:
                    log.warning(
                        "%s: %d series of processes that ended are left out, as there are too many",
                        self.path,
                        whole.left_out,
                    )
                _replace(self.path / _ENDED, msgspec.json.encode(whole.as_ended(ended.number + 1, dead)))
            for name in dead:
                # The lock last: while it lies there the name is that of one that is folded.
                for suffix in (_DATA, _DATA + _NEW, _LOCK):
                    (self.path / f"{name}{suffix}").unlink(missing_ok=True)

    def _names(self) -> list[str]:
        """Of all that have files here. A snapshot without a lock is that of one that ended, for the lock is made
        first."""
        try:
            entries = os.listdir(self.path)
        except FileNotFoundError:
            return []
        names = {entry.removesuffix(_LOCK) for entry in entries if entry.endswith(_LOCK) and entry != _FOLD}
        names |= {entry.removesuffix(_DATA) for entry in entries if entry.endswith(_DATA) and entry != _ENDED}
        return sorted(names)

    def _is_alive(self, name: str) -> bool:
        return _is_held(self.path / f"{name}{_LOCK}")

    def _is_foreign(self, name: str) -> bool:
        """Whether it is for another version to add up."""
        try:
            self._read(name + _DATA, Saved)
        except Foreign:
            return True
        return False

    def _ended(self) -> Ended:
        """Raises `Foreign`: to begin anew would undo what the other version has added up."""
        found = self._read(_ENDED, Ended)
        return Ended() if found is None else found

    def _snapshot(self, name: str) -> Saved | None:
        try:
            return self._read(name + _DATA, Saved)
        except Foreign as error:
            self._say(name, str(error))
            return None

    def _read(self, name: str, kind: type[T]) -> T | None:
        """A file; None when it is not there, or damaged."""
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        if len(content) > FILE_BYTES_MAX:
            self._say(name, f"it has more than {FILE_BYTES_MAX} bytes")
            return None
        try:
            written = msgspec.json.decode(content, type=_Any).format
            if written != FORMAT:
                raise Foreign(
                    f"{self.path / name}: written by another version of cacheaside (format {written})."
                )
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._say(name, "it is damaged")
            return None

    def _say(self, name: str, why: str) -> None:
        """Once of each file: it is read with every scrape."""
        if name not in self._said and len(self._said) < SAID_MAX:
            self._said.add(name)
            log.warning("numbers in %s are left out: %s", self.path / name, why)

    @contextmanager
    def _folding(self) -> Iterator[bool]:
        descriptor = os.open(self.path / _FOLD, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            mine = True
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mine = False
            try:
                yield mine
            finally:
                if mine:
                    # Not only closed: a child that was made by fork meanwhile may have it open, too.
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove locks of processes that were killed before they showed them."""
        for hidden in self.path.glob(f"*{_LOCK}{_NEW}"):
            if not _is_held(hidden):
                hidden.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock. Asked for as a shared one, so that two who ask do not see each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _replace(path: Path, content: bytes) -> None:
    """Have `content` there, or what was there before; never a part of it."""
    new = path.with_name(path.name + _NEW)
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
