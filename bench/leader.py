"""The first of ten callers is cancelled while its load runs, or its load raises: what do the others get?

Every step waits for the one before it: the load has begun, the ten have had their turns, the first is cancelled (or
the load raises), and only then does the load go on. A second load, if a cache starts one, returns at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from bench import ours
from bench.interleaved import Calls
from bench.peers import ASYNC_PEERS_AGAINST_HERDS, SYNC_PEERS_AGAINST_HERDS, AsyncLoad, SyncLoad
from bench.rows import TASKS, THREADS, LeaderRow
from bench.views import VIEW, View

CALLERS = 10
ENTRIES = 10_000
TURNS = 100
"""Turns of the event loop given to the ten callers: far more than any cache needs to reach its wait."""
HUNG_AFTER_S = 3.0

CANCELLED = "first caller cancelled"
RAISED = "first load raises"


class SourceFailed(Exception):
    """The source's own error."""


def rows(wanted: Callable[[str], bool], progress: Callable[[str], None]) -> list[LeaderRow]:
    """Both events for tasks, the second for threads, which cannot be cancelled."""
    found = []
    for event in (CANCELLED, RAISED):
        for peer in [*ours.async_peers(), *ASYNC_PEERS_AGAINST_HERDS]:
            if wanted(peer.name):
                progress(f"{event}, {peer.name}")
                found.append(asyncio.run(_tasks(peer.name, peer.decorate, event)))
    for sync_peer in [*ours.sync_peers(), *SYNC_PEERS_AGAINST_HERDS]:
        if wanted(sync_peer.name):
            progress(f"{RAISED}, threads, {sync_peer.name}")
            found.append(_threads(sync_peer.name, sync_peer.decorate))
    return found


async def _tasks(name: str, decorate: Callable[[AsyncLoad, int], AsyncLoad], event: str) -> LeaderRow:
    loads = Calls()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def load(_k: int) -> View:
        loads.count += 1
        first = loads.count == 1
        begun.set()
        await go_on.wait()
        if first and event == RAISED:
            raise SourceFailed
        return VIEW

    cached = decorate(load, ENTRIES)
    leader = asyncio.ensure_future(cached(42))
    await begun.wait()
    followers = [asyncio.ensure_future(cached(42)) for _ in range(CALLERS - 1)]
    await _turns()
    if event == CANCELLED:
        leader.cancel()
        await _turns()
    go_on.set()
    counted = followers if event == CANCELLED else [leader, *followers]
    done, pending = await asyncio.wait(counted, timeout=HUNG_AFTER_S)
    answers = await asyncio.gather(*done, return_exceptions=True)
    for task in (leader, *pending):
        task.cancel()
    await asyncio.gather(leader, *pending, return_exceptions=True)
    return _row(TASKS, name, event, answers, len(pending), loads)


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _threads(name: str, decorate: Callable[[SyncLoad, int], SyncLoad]) -> LeaderRow:
    loads = Calls()
    counting = threading.Lock()
    begun, go_on = threading.Event(), threading.Event()
    calling = threading.Semaphore(0)

    def load(_k: int) -> View:
        with counting:
            loads.count += 1
            first = loads.count == 1
        begun.set()
        go_on.wait()
        if first:
            raise SourceFailed
        return VIEW

    cached = decorate(load, ENTRIES)

    def caller(answer: Future[View]) -> None:
        calling.release()
        try:
            answer.set_result(cached(42))
        except Exception as error:  # noqa: BLE001  whatever a cache raises is the finding
            answer.set_exception(error)

    def call() -> Future[View]:
        # A daemon thread, and no pool: a caller that hangs for good must not keep the benchmark from ending.
        answer: Future[View] = Future()
        threading.Thread(target=caller, args=(answer,), daemon=True).start()
        return answer

    futures = [call()]
    begun.wait()
    futures += [call() for _ in range(CALLERS - 1)]
    for _ in range(CALLERS):
        calling.acquire()
    # The last step into a cache's own wait cannot be seen from outside; a pause lets it happen. Too short a pause
    # would only make a follower a late caller of a finished load, which is answered as well.
    time.sleep(0.05)
    go_on.set()
    done, hung = wait(futures, HUNG_AFTER_S)
    answers = [future.exception() or future.result() for future in done]
    return _row(THREADS, name, RAISED, answers, len(hung), loads)


def _row(kind: str, name: str, event: str, answers: Sequence[object], hung: int, loads: Calls) -> LeaderRow:
    return LeaderRow(
        kind=kind,
        name=name,
        event=event,
        callers=len(answers) + hung,
        values=sum(answer == VIEW for answer in answers),
        true_errors=sum(isinstance(answer, SourceFailed) for answer in answers),
        cancelled=sum(isinstance(answer, asyncio.CancelledError) for answer in answers),
        hung=hung,
        loads=loads.count,
    )
