"""What one thread waits for and any other rings."""

from __future__ import annotations

import sys
import threading

__all__ = ["Bell", "start"]


class Bell:
    """As `threading.Event`, for one thread that waits; and safe where a signal handler raises in that one.

    Events and conditions of `threading` are Python code around a lock: (1) the main thread waits for one, or notifies
    it (2) a signal's handler raises (a soft time limit) between two steps of that (3) the inner lock stays held (4) who
    rings next, holding a lock of ours perhaps, hangs for ever. Each step of this is one call that no handler divides.
    """

    __slots__ = ("_silent",)

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    @property
    def is_rung(self) -> bool:
        """Whether the next wait ends at once."""
        return not self._silent.locked()

    def ring(self) -> None:
        """End the wait, or the next one. Twice is once."""
        try:
            self._silent.release()
        except RuntimeError:
            return  # it has been rung

    def wait(self, within_s: float) -> bool:
        """Return when it is rung, and have it silent again; False when it was not within that time."""
        return self._silent.acquire(timeout=min(max(0.0, within_s), threading.TIMEOUT_MAX))


def start(thread: threading.Thread) -> None:
    """Start it; raises `RuntimeError` only where no thread can be started.

    (1) the start waits for the thread's first step, by a condition (2) a signal's handler raises in that (3) the
    condition gives a lock back that it does not hold: a `RuntimeError` in the place of the handler's exception.
    """
    handled = sys.exc_info()[1]
    try:
        thread.start()
    except RuntimeError as error:
        raised = error.__context__
        if raised is not None and raised is not handled:
            raise raised from None
        raise
