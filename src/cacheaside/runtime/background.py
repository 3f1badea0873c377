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
from time import monotonic
from typing import Final

from cacheaside.bell import Bell, start
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
        # Held by itself, never through the condition: that is Python code, and a signal handler that raises in it would
        # leave the lock held. Only threads of our own, which run no handlers, wait for the condition.
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._waiting: deque[tuple[Flow, Context]] = deque()
        self._threads: set[object] = set()
        """What stands for each."""
        self._idle = 0
        self._resting: list[Bell] = []
        """Of those who wait for the work to end."""
        self._round = 0

    @property
    def busy(self) -> int:
        """Threads at work."""
        return len(self._threads) - self._idle

    def submit(self, flow: Flow) -> bool:
        """Run `flow` on a thread; False, with the flow closed, when too many wait or no thread can be started."""
        with self._lock:
            full = len(self._waiting) >= self._waiting_max
            starts = False
            if not full:
                self._waiting.append((flow, copy_context()))
                starts = len(self._waiting) > self._idle and len(self._threads) < self._threads_max
                self._changed.notify()
        if full:
            flow.close()
            return False
        return not starts or self._start()

    def _start(self) -> bool:
        mark = object()
        thread = Thread(target=self._work, args=(self._round, mark), name="cacheaside-behind", daemon=True)
        try:
            with self._lock:
                if len(self._threads) >= self._threads_max:
                    return True
                self._threads.add(mark)
            start(thread)
        except RuntimeError:  # no thread can be started: too many, or the interpreter is shutting down
            with self._lock:
                self._threads.discard(mark)
                dropped = [] if self._threads else self._drop()
            for flow in dropped:
                flow.close()
            return not dropped
        except BaseException:  # a signal's: it may have been started, and counts itself in again then
            self._threads.discard(mark)
            raise
        return True

    def _work(self, begun_in: int, mark: object) -> None:
        self._threads.add(mark)
        while (item := self._next(begun_in, mark)) is not None:
            flow, context = item
            try:
                context.run(self._run, flow)
            except BaseException as error:  # noqa: BLE001 - a thread of ours has nobody to raise to
                log.warning("a refresh ended by %s", type(error).__name__)
            del item, flow, context  # an idle thread keeps nobody's cache alive

    def _next(self, begun_in: int, mark: object) -> tuple[Flow, Context] | None:
        """The next flow to run; None, and the thread is counted out, when there is none.

        In one hold of the lock, and whatever the round: (1) `close`, or its idle time, tells a thread to go (2) a flow
        is submitted, and no thread started for it, as this one is counted (3) it must not go before it has run that.
        """
        with self._lock:
            self._idle += 1
            self._say_if_idle()
            self._changed.wait_for(lambda: self._waiting or self._round != begun_in, IDLE_S)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads.discard(mark)
            self._say_if_idle()
            return None

    def _say_if_idle(self) -> None:
        if not self.busy:
            for bell in self._resting:
                bell.ring()

    def _drop(self) -> list[Flow]:
        dropped = [flow for flow, _ in self._waiting]
        self._waiting.clear()
        return dropped

    def close(self, wait_s: float) -> None:
        """Drop what waits, let what is under way finish for up to `wait_s`, end the idle threads. It can be used
        again after."""
        with self._lock:
            dropped = self._drop()
            self._round += 1
            self._changed.notify_all()
        for flow in dropped:
            flow.close()
        until, bell = monotonic() + wait_s, Bell()
        self._resting.append(bell)
        try:
            while self.busy and (left_s := until - monotonic()) > 0:
                bell.wait(left_s)
        finally:
            self._resting.remove(bell)

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
