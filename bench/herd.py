"""Many callers miss one cold key at once: how many loads, and how long the slowest caller waits for a 100 ms load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from bench import ours
from bench.interleaved import Calls
from bench.peers import ASYNC_PEERS_AGAINST_HERDS, SYNC_PEERS_AGAINST_HERDS, AsyncLoad, SyncLoad
from bench.rows import TASKS, THREADS, HerdRow
from bench.views import VIEW, View

LOAD_S = 0.1
TASK_CALLERS = 1_000
THREAD_CALLERS = 64
ENTRIES = 10_000

Outcome = tuple[int, float, int]
"""Loads, seconds of the slowest caller, callers without the value."""


def rows(repeats: int, wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[HerdRow]:
    """For tasks of one event loop, then for threads."""
    found = []
    for peer in [*ours.async_peers(), *ASYNC_PEERS_AGAINST_HERDS]:
        if wanted(peer.name):
            progress(f"{TASK_CALLERS:,} tasks, {peer.name}")
            outcomes = [asyncio.run(_tasks(peer.decorate)) for _ in range(repeats)]
            found.append(_row(TASKS, peer.name, TASK_CALLERS, outcomes))
    for sync_peer in [*ours.sync_peers(), *SYNC_PEERS_AGAINST_HERDS]:
        if wanted(sync_peer.name):
            progress(f"{THREAD_CALLERS} threads, {sync_peer.name}")
            outcomes = [_threads(sync_peer.decorate) for _ in range(repeats)]
            found.append(_row(THREADS, sync_peer.name, THREAD_CALLERS, outcomes))
    return found


def _row(kind: str, name: str, callers: int, outcomes: list[Outcome]) -> HerdRow:
    loads, slowest_s, failed = zip(*outcomes, strict=True)
    return HerdRow(kind, name, callers, max(loads), median(slowest_s), max(failed))


async def _tasks(decorate: Callable[[AsyncLoad, int], AsyncLoad]) -> Outcome:
    loads = Calls()

    async def load(_k: int) -> View:
        loads.count += 1
        await asyncio.sleep(LOAD_S)
        return VIEW

    cached = decorate(load, ENTRIES)
    start = time.perf_counter()

    async def caller() -> tuple[bool, float]:
        answer = await cached(42)
        return answer == VIEW, time.perf_counter() - start

    answers = await asyncio.gather(*(caller() for _ in range(TASK_CALLERS)), return_exceptions=True)
    return _outcome(loads, answers)


def _threads(decorate: Callable[[SyncLoad, int], SyncLoad]) -> Outcome:
    loads = Calls()
    counting = threading.Lock()

    def load(_k: int) -> View:
        with counting:
            loads.count += 1
        time.sleep(LOAD_S)
        return VIEW

    cached = decorate(load, ENTRIES)
    together = threading.Barrier(THREAD_CALLERS)

    def caller(_number: int) -> tuple[bool, float] | Exception:
        together.wait()
        start = time.perf_counter()
        try:
            return cached(42) == VIEW, time.perf_counter() - start
        except Exception as error:  # noqa: BLE001  whatever a cache raises is the finding
            return error

    with ThreadPoolExecutor(THREAD_CALLERS) as pool:
        return _outcome(loads, list(pool.map(caller, range(THREAD_CALLERS))))


def _outcome(loads: Calls, answers: list[tuple[bool, float] | BaseException]) -> Outcome:
    good = [answer[1] for answer in answers if isinstance(answer, tuple) and answer[0]]
    return loads.count, max(good, default=float("inf")), len(answers) - len(good)
