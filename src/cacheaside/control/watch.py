"""The thread that looks again and again at what may have changed: the file, the fleet, and what has ended.

One for a cache, and only while there is something to look at. It has no lock of its own, holds its cache weakly, and no
error ends it.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Final, Protocol

from cacheaside.bell import Bell, start

__all__ = ["Looking", "Watch", "begin"]

log = logging.getLogger("cacheaside")

AFTER_ERROR_S: Final = 0.5


class Looking(Protocol):
    """Who looks."""

    def turn(self, watch: Watch) -> float | None:
        """Look at everything; in how many seconds again at the latest. None: `watch` is over."""


class Watch:
    """One thread, and what wakes it."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.thread: threading.Thread | None = None

    def join(self, within_s: float) -> None:
        """Wait for its end."""
        self.bell.ring()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(within_s)


def begin(looking: Looking) -> Watch:
    """Start the thread. Raises `RuntimeError` where none can be started."""
    watch = Watch()
    watch.thread = threading.Thread(
        target=_run, args=(weakref.ref(looking), watch), name="cacheaside-control", daemon=True
    )
    start(watch.thread)
    return watch


def _run(reference: weakref.ref[Looking], watch: Watch) -> None:
    said = ""
    while True:
        looking = reference()
        if looking is None:
            return
        try:
            wait_s = looking.turn(watch)
        except Exception as error:  # noqa: BLE001 - else nobody would hear of a kill switch any more
            if said != (said := type(error).__name__):
                log.warning("control: a look for changes failed, and is made again and again: %s", said)
            wait_s = AFTER_ERROR_S
        del looking
        if wait_s is None:
            return
        watch.bell.wait(wait_s)
