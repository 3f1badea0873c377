"""Waiting for sockets until an instant, on the thread that waits."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["Deadline", "Waiting", "has_more"]

Waiting = tuple[socket.socket, bool]
"""A socket, and whether it is waited for to take bytes; else, to give some."""

_OVERTIME_LOOKS_MAX: Final = 8
_POLL_MAX_MS: Final = 86_400_000.0
"""What is given to the kernel is a C int of milliseconds, and a longer wait an OverflowError."""


class Deadline:
    """An instant on a clock, which everything that one call does shares.

    now: seconds, on the clock that `at` is on.
    """

    __slots__ = ("_at", "_now", "_overtime_looks")

    def __init__(self, at: float, now: Callable[[], float]) -> None:
        self._at = at
        self._now = now
        self._overtime_looks = 0

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float]) -> Deadline:
        """So many seconds from now."""
        return cls(now() + seconds, now)

    def within(self, seconds: float) -> Deadline:
        """So many seconds from now, and never later than this one."""
        return Deadline(min(self._at, self._now() + seconds), self._now)

    def left_s(self) -> float:
        """How long it is until then; zero, never less, when it has passed."""
        return max(0.0, self._at - self._now())

    def wait(self, waiting: Sequence[Waiting]) -> set[int]:
        """The descriptors of those that are ready, as soon as one is; empty when the deadline passed first.

        What lies there already is not late when it is this thread that was kept from running: 1. a command goes out;
        2. other threads keep this one waiting for its turn past the deadline; 3. the answer lay there all along. So a
        few looks are granted after the deadline. They wait for nothing, and are too few for an answer without end.
        """
        left_s = self.left_s()
        if not left_s:
            self._overtime_looks += 1
            if self._overtime_looks > _OVERTIME_LOOKS_MAX:
                return set()
        return _ready(waiting, left_s)


def has_more(held: socket.socket, within_s: float = 0.0) -> bool:
    """Whether there is something to receive now, or within so long; an end included. Takes no descriptor, and any."""
    return bool(_ready([(held, False)], within_s))


def _ready_by_poll(waiting: Sequence[Waiting], within_s: float) -> set[int]:
    poller = select.poll()
    for held, to_take in waiting:
        poller.register(held, select.POLLOUT if to_take else select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll(min(within_s * 1000.0, _POLL_MAX_MS))}


def _ready_by_select(waiting: Sequence[Waiting], within_s: float) -> set[int]:
    giving = [held.fileno() for held, to_take in waiting if not to_take]
    taking = [held.fileno() for held, to_take in waiting if to_take]
    # Where there is only this, a connection that fails is told of as an exception.
    return set().union(*select.select(giving, taking, taking, within_s))


_ready: Final = _ready_by_poll if hasattr(select, "poll") else _ready_by_select
