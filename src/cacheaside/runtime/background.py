"""Threads that run flows behind their callers.

Daemons of our own rather than a `ThreadPoolExecutor`: its threads are joined when the interpreter exits, with all that
is queued, so a source that hangs would keep the process from ending.
"""

from __future__ import annotations

import atexit
import logging
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from threading import Condition, RLock, Thread
from typing import Final

from cacheaside.flow.ports import Flow

__all__ = ["Background"]

log = logging.getLogger("cacheaside")

IDLE_S: Final = 10.0
"""How long a thread without work stays."""
EXIT_S: Final = 1.0
"""How long the interpreter's exit waits for what is under way; what takes longer ends with the process."""

_all: weakref.WeakSet[Background] = weakref.WeakSet()


class Background:
    """Up to `threads_max` threads, started when there is work, and `waiting_max` flows that wait for one.

    Each flow runs in a copy of its caller's context: what varies by a context variable (a tenant) is loaded for the
    one that the key was made for.
    """

    def __init__(self, run: Callable[[Flow], object], *, threads_max: int, waiting_max: int) -> None:
        self._run = run
        self._threads_max = threads_max
        self._waiting_max = waiting_max
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._changed = Condition(RLock())
        self._waiting: deque[tuple[Flow, Context]] = deque()
        self._threads = 0
        self._idle = 0
        self._round = 0

    @property
    def busy(self) -> int:
        """Threads at work."""
        return self._threads - self._idle

    def submit(self, flow: Flow) -> bool:
        """Run `flow` on a thread; False, with the flow closed, when too many wait or no thread can be started."""
        with self._changed:
            full = len(self._waiting) >= self._waiting_max
            start = False
            if not full:
                self._waiting.append((flow, copy_context()))
                start = len(self._waiting) > self._idle and self._threads < self._threads_max
                self._threads += start
                self._changed.notify()
        if full:
            flow.close()
            return False
        return not start or self._start()

    def _start(self) -> bool:
        thread = Thread(target=self._work, args=(self._round,), name="cacheaside-behind", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started: too many, or the interpreter is shutting down
            with self._changed:
                self._threads -= 1
                dropped = [] if self._threads else self._drop()
            for flow in dropped:
                flow.close()
            return not dropped
        return True

    def _work(self, begun_in: int) -> None:
        while (item := self._next(begun_in)) is not None:
            flow, context = item
            try:
                context.run(self._run, flow)
            except BaseException as error:  # noqa: BLE001 - a thread of ours has nobody to raise to
                log.warning("a refresh ended by %s", type(error).__name__)
            del item, flow, context  # an idle thread keeps nobody's cache alive

    def _next(self, begun_in: int) -> tuple[Flow, Context] | None:
        """The next flow to run; None, and the thread is counted out, when there is none.

        In one hold of the lock, and whatever the round: (1) `close`, or its idle time, tells a thread to go (2) a flow
        is submitted, and no thread started for it, as this one is counted (3) it must not go before it has run that.
        """
        with self._changed:
            self._idle += 1
            self._changed.notify_all()  # whoever waits for the work to end
            self._changed.wait_for(lambda: self._waiting or self._round != begun_in, IDLE_S)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            self._changed.notify_all()
            return None

    def _drop(self) -> list[Flow]:
        dropped = [flow for flow, _ in self._waiting]
        self._waiting.clear()
        return dropped

    def close(self, wait_s: float) -> None:
        """Drop what waits, let what is under way finish for up to `wait_s`, end the idle threads. It can be used
        again after."""
        with self._changed:
            dropped = self._drop()
            self._round += 1
            self._changed.notify_all()
        for flow in dropped:
            flow.close()
        with self._changed:
            self._changed.wait_for(lambda: not self.busy, wait_s)

    def forget(self) -> None:
        """After a fork: the threads stayed in the parent. What waited for them was not begun."""
        dropped = self._drop()
        self._begin()
        for flow in dropped:
            flow.close()


def _at_exit() -> None:
    for background in list(_all):
        background.close(EXIT_S)


atexit.register(_at_exit)
