"""Many callers at once: tasks of one event loop, or threads.

What a caller does is written once, as a coroutine. A task awaits it; a thread runs it to its end, with reads and pauses
that block instead of suspending.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from bench.rows import TASKS

T = TypeVar("T")

Read = Callable[[int], Awaitable[Any]]
Body = Callable[[], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True)
class Ran(Generic[T]):
    """What the callers returned, and what the process took from their common start to the end of the last one."""

    results: list[T]
    wall_s: float
    cpu_s: float


class Crowd:
    """Callers of one kind. Threads are kept from one run to the next, as a server keeps them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._pool: ThreadPoolExecutor | None = None
        self._threads = 0

    def reading(self, cached: Callable[[int], Any]) -> Read:
        """A decorated function in the form that callers await."""
        if self.kind == TASKS:
            return cached

        async def read(k: int) -> Any:
            return cached(k)

        return read

    async def pause(self, seconds: float) -> None:
        """The caller sleeps."""
        if self.kind == TASKS:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251  in a thread of its own

    async def run(self, bodies: Sequence[Body[T]]) -> Ran[T]:
        """Start all at once and wait for all. An exception of one is raised."""
        if self.kind == TASKS:
            tasks = [asyncio.ensure_future(body()) for body in bodies]  # none has run yet
            started, cpu = time.perf_counter(), time.process_time()
            results = list(await asyncio.gather(*tasks))
            return Ran(results, time.perf_counter() - started, time.process_time() - cpu)
        return await asyncio.get_running_loop().run_in_executor(None, partial(self._run_threads, bodies))

    def _run_threads(self, bodies: Sequence[Body[T]]) -> Ran[T]:
        starts: list[tuple[float, float]] = []
        together = threading.Barrier(
            len(bodies), lambda: starts.append((time.perf_counter(), time.process_time()))
        )

        def thread(body: Body[T]) -> T:
            together.wait()
            return run_now(body())

        results = list(self._pool_of(len(bodies)).map(thread, bodies))
        ((started, cpu),) = starts
        return Ran(results, time.perf_counter() - started, time.process_time() - cpu)

    def _pool_of(self, threads: int) -> ThreadPoolExecutor:
        if self._pool is None or self._threads < threads:
            self._pool, self._threads = ThreadPoolExecutor(threads), threads
        return self._pool


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a caller that runs in a thread suspended")
