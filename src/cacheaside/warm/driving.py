"""Who turns the crank of a warm-up: tasks of an event loop, or threads. Both ask `replay` what to read, and read as
anybody does: by the flow, through L1, the shared tier, single flight and the source's limit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from cacheaside.bell import Bell
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.host import Host
from cacheaside.errors import Overloaded
from cacheaside.flow import read as reading
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call
from cacheaside.lookup import Lookup
from cacheaside.runtime.background import Background
from cacheaside.warm.replay import Replay, Unfit, Went
from cacheaside.warm.report import Progress

__all__ = ["Told", "Wanted", "drive", "drive_blocking", "ready"]

Told = Callable[[Progress], object]
"""What is told of the progress. When it returns False, the warm-up ends."""


class Wanted(msgspec.Struct, frozen=True, eq=False):
    """A key to read."""

    endpoint: Endpoint
    call: Call


def ready(wanted: Wanted, host: Host) -> Call:
    """What to read for `wanted` now; an `Unfit` where that would not be kept, as the cache is switched off, its
    endpoint killed, or its key not let in by a ramp. Asked before each read, since that may change at any moment."""
    call: Call = host.facades[wanted.endpoint.name].prepared(msgspec.structs.replace(wanted.call))
    if call.bypass:
        raise Unfit(f"{wanted.endpoint.name}: its reads are sent to the source, and nothing of them is kept")
    return call


class _Course:
    """A replay with the lock that threads need, and whoever wants to know of its progress."""

    def __init__(self, replay: Replay[Any, Wanted], told: Told | None) -> None:
        self.replay = replay
        self._told = told
        self._lock = threading.Lock()

    def take(self) -> Wanted | float | None:
        with self._lock:
            return self.replay.take(time.monotonic())

    def went(self, wanted: Wanted, went: Went, began: float) -> None:
        now = time.monotonic()
        with self._lock:
            self.replay.went(wanted, went, began=began, now=now)
            progress = None if self._told is None else self.replay.progress(now)
            if progress is not None and self._told is not None and self._told(progress) is False:
                self.replay.stop("asked")


def _failed(wanted: Wanted, error: Exception) -> Went:
    if isinstance(error, Overloaded):
        return Went(retry_after_s=error.retry_after_s)
    return Went(error=f"{wanted.endpoint.name}: {type(error).__name__}")


async def drive(
    replay: Replay[Any, Wanted], host: Host, *, at_once: int, within_s: float, told: Told | None
) -> None:
    """Run it on this event loop; loaders that are a `def` run on threads. When its time is over, what is under way is
    cancelled; so it is when the caller is. What others wait for, too, goes on."""
    course = _Course(replay, told)
    threads = Background(run_blocking, threads_max=at_once, waiting_max=at_once)
    workers = [asyncio.ensure_future(_work(course, host, threads)) for _ in range(at_once)]
    try:
        done, late = await asyncio.wait(workers, timeout=within_s)
        if late:
            replay.stop("time")
        for worker in done:
            worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        threads.close(0.0)


async def _work(course: _Course, host: Host, threads: Background) -> None:
    while (wanted := course.take()) is not None:
        if isinstance(wanted, float):
            await asyncio.sleep(wanted)
            continue
        began = time.monotonic()
        try:
            call = ready(wanted, host)
            if wanted.endpoint.is_async:
                answer = await reading.read(call, host.ports)
            else:
                answer = await _on_thread(call, host, threads)
        except Unfit as unfit:
            went = Went(unfit=str(unfit))
        except Exception as error:  # noqa: BLE001 - a key that fails fails alone, and is counted
            went = _failed(wanted, error)
        else:
            went = Went(answer=answer)
        course.went(wanted, went, began)


async def _on_thread(call: Call, host: Host, threads: Background) -> Lookup[Any]:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Lookup[Any]] = loop.create_future()

    def tell(answer: Lookup[Any] | None, error: Exception | None) -> None:
        if answered.done():
            return  # nobody waits any more
        if error is not None:
            answered.set_exception(error)
        elif answer is not None:
            answered.set_result(answer)

    async def flow() -> None:
        answer, error = None, None
        try:
            answer = await reading.read(call, host.blocking_ports)
        except Exception as raised:  # noqa: BLE001 - it is told
            error = raised
        try:
            loop.call_soon_threadsafe(tell, answer, error)
        except RuntimeError:
            return  # the loop is closed

    if not threads.submit(flow()):
        raise RuntimeError("no thread can be started")
    return await answered


def drive_blocking(
    replay: Replay[Any, Wanted], host: Host, *, at_once: int, within_s: float, told: Told | None
) -> None:
    """Run it on `at_once` threads, and wait for them; loaders that are `async def` are not for it. When its time is
    over, what is under way is left to end by itself: a load on a thread cannot be interrupted."""
    course = _Course(replay, told)
    threads = Background(run_blocking, threads_max=at_once, waiting_max=at_once)
    until = time.monotonic() + within_s
    bells = [Bell() for _ in range(at_once)]
    errors: list[BaseException] = []
    try:
        for bell in bells:
            if not threads.submit(_work_blocking(course, host, bell, errors)):
                bell.ring()
        for bell in bells:
            if not bell.wait(until - time.monotonic()):
                replay.stop("time")
    except BaseException:  # a signal's: its threads begin nothing more
        replay.stop("asked")
        raise
    finally:
        threads.close(0.0)
    if errors:
        raise errors[0]


async def _work_blocking(course: _Course, host: Host, bell: Bell, errors: list[BaseException]) -> None:
    """Never suspends: it blocks its thread."""
    try:
        while (wanted := course.take()) is not None:
            if isinstance(wanted, float):
                time.sleep(wanted)  # noqa: ASYNC251 - on a thread of its own
                continue
            began = time.monotonic()
            try:
                went = Went(answer=await reading.read(ready(wanted, host), host.blocking_ports))
            except Unfit as unfit:
                went = Went(unfit=str(unfit))
            except Exception as error:  # noqa: BLE001 - a key that fails fails alone, and is counted
                went = _failed(wanted, error)
            course.went(wanted, went, began)
    except BaseException as error:  # noqa: BLE001 - of progress=: it is raised to who called
        errors.append(error)
    finally:
        bell.ring()
