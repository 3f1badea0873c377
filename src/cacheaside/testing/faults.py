"""Faults on purpose: sources that fail, hang, are slow, time out or are overloaded.

Each is a context manager over a source, or over a `Cache` for its endpoints without one. Inside of the block the loads
of that source meet the fault before their resource is opened; several faults are met in the order of their blocks.
The object that the block gives counts them.

    with faults.fail(db, ConnectionError("down")) as fault:
        ...
    assert fault.loads == 1
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Final

from cacheaside.cache import Cache
from cacheaside.durations import Duration, seconds
from cacheaside.errors import LoadTimeout, UsageError
from cacheaside.source.limit import Limit
from cacheaside.source.source import Source
from cacheaside.testing.inside import source_of

__all__ = ["Fault", "Hang", "fail", "hang", "overload", "slow", "time_out"]

UNTIL_S: Final = 10.0
"""How long a test waits for loads to reach a hang, unless it says otherwise."""

_lock = threading.RLock()


class Fault:
    """A fault in place. `loads`: how many loads met it."""

    def __init__(self, times: int | None) -> None:
        self._left = times
        self.loads = 0

    def _is_met(self) -> bool:
        with _lock:
            if self._left == 0:
                return False
            if self._left is not None:
                self._left -= 1
            self.loads += 1
            return True

    async def meet(self) -> None:
        """A load on an event loop comes by."""
        self.meet_blocking()

    def meet_blocking(self) -> None:
        """A load on a thread comes by."""


class _Failing(Fault):
    def __init__(self, error: BaseException | type[BaseException], times: int | None) -> None:
        super().__init__(times)
        self._error = error

    def meet_blocking(self) -> None:
        if self._is_met():
            raise self._error


class _Slow(Fault):
    def __init__(self, delay_s: float, times: int | None) -> None:
        super().__init__(times)
        self._delay_s = delay_s

    async def meet(self) -> None:
        if self._is_met():
            await asyncio.sleep(self._delay_s)

    def meet_blocking(self) -> None:
        if self._is_met():
            time.sleep(self._delay_s)


class Hang(Fault):
    """Loads that hang until `release`, or the end of the block; `loads` of them came so far."""

    def __init__(self, times: int | None) -> None:
        super().__init__(times)
        self._released = False
        self._wakers: list[Callable[[], None]] = []
        self._changed = threading.Condition(_lock)

    def release(self) -> None:
        """Let all go on that hang, and hang no others."""
        with self._changed:
            self._released = True
            wakers, self._wakers = self._wakers, []
            self._changed.notify_all()
        for wake in wakers:
            wake()

    async def until(self, loads: int = 1, *, within: Duration = UNTIL_S) -> None:
        """Wait until that many loads came. `TimeoutError` when they do not."""
        async with asyncio.timeout(seconds(within, name="within")):
            await self._wait_for(lambda: self.loads >= loads)

    def until_blocking(self, loads: int = 1, *, within: Duration = UNTIL_S) -> None:
        """As `until`, for a test without an event loop."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.loads >= loads, seconds(within, name="within")):
                raise TimeoutError(f"Loads that came to hang: {self.loads}, not {loads}.")

    async def meet(self) -> None:
        if self._arrives():
            await self._wait_for(lambda: self._released)

    def meet_blocking(self) -> None:
        if self._arrives():
            with self._changed:
                self._changed.wait_for(lambda: self._released)

    def _arrives(self) -> bool:
        with self._changed:
            if self._released or not self._is_met():
                return False
            wakers, self._wakers = self._wakers, []
            self._changed.notify_all()
        for wake in wakers:
            wake()
        return True

    async def _wait_for(self, is_so: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            event = asyncio.Event()

            def wake(event: asyncio.Event = event) -> None:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(event.set)

            with self._changed:
                if is_so():
                    return
                self._wakers.append(wake)
            await event.wait()


class _Opener:
    """Stands in for a source's `open` while there are faults."""

    def __init__(self, original: Callable[[], Any] | None) -> None:
        self.original = original
        self.faults: list[Fault] = []

    def __call__(self) -> _Resource:
        return _Resource(self)


class _Resource:
    """A resource behind faults, for loads of either colour."""

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener
        self._manager: Any = None

    def _opened(self) -> Any:
        original = self._opener.original
        self._manager = None if original is None else original()
        return self._manager

    async def __aenter__(self) -> Any:
        for fault in tuple(self._opener.faults):
            await fault.meet()
        manager = self._opened()
        if manager is None:
            return None
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def __aexit__(self, *raised: object) -> Any:
        manager = self._manager
        if manager is None:
            return None
        return (
            await manager.__aexit__(*raised) if hasattr(manager, "__aexit__") else manager.__exit__(*raised)
        )

    def __enter__(self) -> Any:
        for fault in tuple(self._opener.faults):
            fault.meet_blocking()
        manager = self._opened()
        if manager is None:
            return None
        if not hasattr(manager, "__enter__"):
            raise UsageError("A `def` endpoint loads from a source that opens an async resource.")
        return manager.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return None if self._manager is None else self._manager.__exit__(kind, error, traceback)


@contextmanager
def _in_place(source: Source[Any] | Cache, fault: Fault) -> Iterator[None]:
    target = source_of(source)
    with _lock:
        if not isinstance(target.open, _Opener):
            target.open = _Opener(target.open)
        opener = target.open
        opener.faults.append(fault)
    try:
        yield
    finally:
        with _lock:
            opener.faults.remove(fault)
            if not opener.faults and target.open is opener:
                target.open = opener.original


@contextmanager
def fail(
    source: Source[Any] | Cache, error: BaseException | type[BaseException], *, times: int | None = None
) -> Iterator[Fault]:
    """Loads raise `error`; with `times`, only so many of them do, and the next work again."""
    fault = _Failing(error, times)
    with _in_place(source, fault):
        yield fault


@contextmanager
def time_out(source: Source[Any] | Cache, *, times: int | None = None) -> Iterator[Fault]:
    """Loads end with `LoadTimeout` as if the source had hung for its whole timeout, without the wait."""
    name = source_of(source).name
    error = LoadTimeout(f"source {name!r}: no answer in time, by faults.time_out.", endpoint="", source=name)
    with fail(source, error, times=times) as fault:
        yield fault


@contextmanager
def slow(source: Source[Any] | Cache, delay: Duration, *, times: int | None = None) -> Iterator[Fault]:
    """Loads take `delay` longer, in real time."""
    fault = _Slow(seconds(delay, name="delay"), times)
    with _in_place(source, fault):
        yield fault


@contextmanager
def hang(source: Source[Any] | Cache, *, times: int | None = None) -> Iterator[Hang]:
    """Loads hang until `release()` or the end of the block, and then go on: the test decides what happens meanwhile.

    The timeout of the source still runs, in real time.
    """
    fault = Hang(times)
    with ExitStack() as ends:
        ends.enter_context(_in_place(source, fault))
        ends.callback(fault.release)
        yield fault


@contextmanager
def overload(source: Source[Any] | Cache) -> Iterator[None]:
    """Loads are refused with `Overloaded`, as by a source at its limit with a full queue. Those under way go on."""
    target = source_of(source)
    with _lock:
        before, target.limit = target.limit, Limit(0, 0)
    try:
        yield
    finally:
        with _lock:
            target.limit = before
