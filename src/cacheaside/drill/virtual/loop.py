"""An event loop in virtual time: when nobody can go on, its clock stands at the next timer at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Stuck", "VirtualLoop", "run_virtual"]

T = TypeVar("T")
START_S = 1_000.0


class Stuck(RuntimeError):
    """Everybody waits, and no timer will wake anybody."""


class _Selector(selectors.SelectSelector):
    """Waits for nothing: it lets time pass instead."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck("everybody waits for something that no timer brings: a thread, or a socket")
        self.passed_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """For coroutines that wait for each other and for time alone: no sockets, no threads."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual.passed_s


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run on a loop of its own, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
