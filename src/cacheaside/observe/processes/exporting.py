"""One process's part in a folder of numbers: a thread that writes them, and what a fork, an end and a scrape mean.

The thread is ended before a fork and begun again after it, in the parent and in the child. Else: (1) it writes (2) its
process forks (3) the child has half of a file open, and a lock that nobody holds any more. And Python warns of a fork
beside threads, which a server that loads the application before it forks its workers would see at every one.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from cacheaside.errors import DeclarationError
from cacheaside.observe.catalog import METRICS, PROCESSES
from cacheaside.observe.metrics import Sample
from cacheaside.observe.processes.folder import Folder, Member
from cacheaside.observe.processes.saved import saved
from cacheaside.observe.processes.since import since

__all__ = ["EVERY_MAX_S", "EVERY_MIN_S", "Exporting"]

log = logging.getLogger("cacheaside")

EVERY_MIN_S: Final = 0.05
EVERY_MAX_S: Final = 60.0
JOIN_MAX_S: Final = 5.0
"""How long a fork or an end waits for a snapshot that is being written."""
COMPLAIN_EVERY_S: Final = 60.0

_all: Final[weakref.WeakSet[Exporting]] = weakref.WeakSet()


class Exporting:
    """Thread-safe. take: the samples of this process, one call at a time; names: of the caches they are of."""

    def __init__(
        self, path: Path, take: Callable[[], Iterable[Sample]], names: Sequence[str], *, every_s: float
    ) -> None:
        if not EVERY_MIN_S <= every_s <= EVERY_MAX_S:
            raise DeclarationError(
                f"every must be from {EVERY_MIN_S:g} s to {EVERY_MAX_S:g} s, not {every_s:g} s."
            )
        self.path = path.absolute()
        self.is_closed = False
        self.names = frozenset(names)
        for other in list(_all):
            if other.path == self.path and other.names & self.names and not other.is_closed:
                raise DeclarationError(
                    f"the numbers of cache {min(other.names & self.names)!r} are written to {self.path} already, by "
                    "another collector of this process: they would count twice. Make one at import, and register that "
                    "one in each registry; or close() the other."
                )
        self._take = take
        self._every_s = every_s
        self._folder = Folder(self.path)
        self._before: list[Sample] = []
        """What was counted before this process was forked."""
        self._complain_at = float("-inf")
        self._held: list[Member] = []
        """At most one; apart, so that it can be let go of when this is collected as garbage."""
        self._begin()
        try:
            self._write()
            self._folder.fold()
        except OSError as error:
            self._let_go()
            raise DeclarationError(
                f"numbers cannot be written to {self.path} ({error.strerror or error}): name a folder that every "
                "process of this service may write to, on the machine's own disk."
            ) from None
        weakref.finalize(self, _leave, self._held).atexit = False  # `_at_exit` is for that, and writes first
        _all.add(self)
        self._start()

    def samples(self) -> list[Sample]:
        """Of all processes, this one's as of now. Raises `OSError` when the folder cannot be read."""
        with self._lock:
            try:
                if not self.is_closed:
                    self._write()
                self._folder.fold()
            except OSError as error:
                # What was written before is what is shown: see the package.
                self._complain(error)
            whole = self._folder.read(time.monotonic())
        return [sample for sample in whole.samples(METRICS) if sample.labels[0] in self.names]

    def close(self) -> None:
        """Write a last time, and count among the ended."""
        self._stop()
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            try:
                self._write()
            except OSError as error:
                self._complain(error)
            self._let_go()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._held_for_fork = False
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def _write(self) -> None:
        if self._held and not self._held[0].is_there:
            self._let_go()
        if not self._held:
            self._held.append(self._folder.join())
        counted = since(self._before, self._take()) if self._before else self._take()
        present = [Sample(PROCESSES, (name,), 1) for name in sorted(self.names)]
        self._held[0].write(saved([*counted, *present], time.monotonic()))

    def _let_go(self) -> None:
        _leave(self._held)

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_EVERY_S
            log.warning(
                "the numbers of this process are not written to %s (%s): those from before are shown, and this is "
                "tried again",
                self.path,
                error.strerror or error,
            )

    # -- the thread ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._ending = threading.Event()
        args = weakref.ref(self), self._ending, self._every_s
        self._thread = threading.Thread(target=_run, args=args, name="cacheaside-numbers", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # at the end of the interpreter, or at a limit: scrapes write, too
            self._thread = None

    def _stop(self) -> None:
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_MAX_S)

    def turn(self) -> None:
        """Write; run by the thread."""
        with self._lock:
            if not self.is_closed:
                try:
                    self._write()
                except OSError as error:
                    self._complain(error)

    # -- forks ---------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """No thread, and nobody between two steps of writing or reading."""
        self._stop()
        self._held_for_fork = self._lock.acquire(timeout=JOIN_MAX_S)

    def in_parent(self) -> None:
        """Go on."""
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()
        if not self.is_closed:
            self._start()

    def in_child(self) -> None:
        """Be another process: with a lock and a snapshot of its own, that begins at zero."""
        self._begin()
        while self._held:
            self._held.pop().abandon()
        if not self.is_closed:
            self._before = list(self._take())
            self._start()


def _run(exporting: weakref.ref[Exporting], ending: threading.Event, every_s: float) -> None:
    while not ending.wait(every_s):
        one = exporting()
        if one is None:
            return
        one.turn()
        del one


def _leave(held: list[Member]) -> None:
    while held:
        held.pop().leave()


def _before_fork() -> None:
    for one in list(_all):
        one.before_fork()


def _in_parent() -> None:
    for one in list(_all):
        one.in_parent()


def _in_child() -> None:
    for one in list(_all):
        one.in_child()


def _at_exit() -> None:
    for one in list(_all):
        one.close()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
atexit.register(_at_exit)
