"""Loads that wait until a test lets them go, so that what happens meanwhile is in the test's hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

WAIT_S = 20.0
"""How long a test waits for what must happen, before it fails."""


class HeldLoads:
    """A loader on one event loop: each call is counted, and waits until `let_go`."""

    def __init__(self) -> None:
        self.began = 0
        self.ended = 0
        self.cancelled = 0
        self.outcome: Any = None
        self._entered = asyncio.Condition()
        self._may_go = asyncio.Event()

    async def __call__(self, *args: Any) -> Any:
        self.began += 1
        async with self._entered:
            self._entered.notify_all()
        try:
            await self._may_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.ended += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def until_began(self, count: int = 1) -> None:
        async with asyncio.timeout(WAIT_S), self._entered:
            await self._entered.wait_for(lambda: self.began >= count)

    def let_go(self, outcome: Any = None) -> None:
        self.outcome = outcome
        self._may_go.set()


class HeldCalls:
    """A loader on threads: each call is counted, and waits until `let_go`."""

    def __init__(self) -> None:
        self.began = 0
        self.outcome: Any = None
        self._changed = threading.Condition()
        self._may_go = threading.Event()

    def __call__(self, *args: Any) -> Any:
        with self._changed:
            self.began += 1
            self._changed.notify_all()
        assert self._may_go.wait(WAIT_S), "nobody let the load go"
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def until_began(self, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.began >= count, WAIT_S), f"{self.began} loads began"

    def let_go(self, outcome: Any = None) -> None:
        self.outcome = outcome
        self._may_go.set()


class Callers:
    """Threads that each make one call; their results, or what they raised."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, call: Any, *args: Any, times: int = 1) -> None:
        def run() -> None:
            try:
                self.results.append(call(*args))
            except BaseException as error:  # noqa: BLE001 - it is what the test asks about
                self.errors.append(error)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(times)]
        self._threads += threads
        for thread in threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), "a caller never came back"


async def settled(flights: Any, key: str, waiting: int) -> None:
    """Let the loop run until `waiting` callers wait for the load of `key`."""
    for _ in range(10_000):
        flight = flights._open.get(key)
        if flight is not None and flight.waiting >= waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"no {waiting} callers wait for {key}")


def until_waiting(flights: Any, key: str, waiting: int) -> None:
    """Wait until `waiting` callers share the load of `key`, its leader included, from outside of their threads."""
    deadline = threading.Event()
    for _ in range(int(WAIT_S * 1000)):
        flight = flights._open.get(key)
        if flight is not None and flight.waiting >= waiting:
            return
        deadline.wait(0.001)
    raise AssertionError(f"no {waiting} callers wait for {key}")
