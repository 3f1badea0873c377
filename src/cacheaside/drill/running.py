"""A drill from its first look to its report; whatever happens on the way, what was broken is put right."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from cacheaside.drill.aborting import reason_to_abort
from cacheaside.drill.drills import Drill
from cacheaside.drill.faults.kind import Fault
from cacheaside.drill.journal import Journal
from cacheaside.drill.judging import WINDOW_S, Told, figures, judged, recovered_at
from cacheaside.drill.report import Report
from cacheaside.drill.series import Record, points
from cacheaside.drill.settings import Settings

__all__ = ["Ground", "NotRestored", "run_drill"]

_LOOK_S: Final = 0.1
_RESTORED_S: Final = 30.0
"""How long it may take to put things right."""
_TOLD_S: Final = 0.3
"""By when all answers were told."""

Say = Callable[[str], None]


class NotRestored(Exception):
    """What was broken could not be put right: says what to do."""


class Ground(Protocol):
    """What is drilled, while it is under load."""

    record: Record

    @property
    def target(self) -> str: ...

    @property
    def namespace(self) -> str: ...

    def fill(self) -> Awaitable[None]:
        """Warm the cache, before anything is watched."""

    def begin(self) -> None: ...

    def rest(self) -> None: ...

    def check(self) -> None:
        """Raise what broke down by itself."""

    def told(self) -> dict[str, Any]:
        """What it adds to `judging.Told`."""


class _CalledOff(Exception):
    pass


async def run_drill(
    drill: Drill, settings: Settings, ground: Ground, fault: Fault, journal: Journal, say: Say
) -> Report:
    """The report. When this is cancelled, or anything raises, what was broken is put right before it ends."""
    undo = await asyncio.to_thread(fault.undo)  # first of all: it refuses what would reach too far
    say("filling the cache")
    await ground.fill()
    began = time.monotonic()
    ground.begin()
    say(f"watching for {settings.before_s:g} s while nothing is wrong")
    aborted = None
    fault_began = fault_ended = began
    try:
        await _watch(settings, ground, began, settings.before_s)
        journal.owe(undo)
        fault_began = time.monotonic()
        say(f"breaking: {drill.title}")
        # Interrupted at any point, in `begin` too: (1) a thread is told to break it (2) Ctrl-C cancels this (3) the
        # thread breaks it, and nobody knows. So it is told to go no further, its end is waited for, and only then
        # things are put right.
        begun = threading.Event()
        beginning = asyncio.ensure_future(asyncio.to_thread(_begin, fault, begun))
        try:
            await _watch_while(settings, ground, began, beginning)
            fault_ended = time.monotonic()
            if drill.lasts:
                await _watch(settings, ground, began, settings.radius.seconds)
        finally:
            fault.halt()
            await _surely(asyncio.ensure_future(asyncio.to_thread(_end, fault, journal, begun)))
            fault_ended = time.monotonic() if drill.lasts else fault_ended
            if beginning.done() and not beginning.cancelled():
                beginning.exception()  # raised above, unless this was interrupted
        say("restored" if drill.undo else "broken at once, and nothing to restore")
        await _recover(settings, ground, began, fault_began, fault_ended)
    except _CalledOff as why:
        aborted = str(why)
        fault_ended = max(fault_ended, fault_began)
        say(f"called off, and restored: {aborted}")
    finally:
        journal.close()
        ground.rest()
    ended = time.monotonic()
    await asyncio.sleep(_TOLD_S)
    evidence = fault.evidence()
    return judged(
        drill,
        settings,
        Told(
            record=ground.record,
            began=began,
            fault_began=fault_began,
            fault_ended=fault_ended,
            ended=ended,
            target=ground.target,
            namespace=ground.namespace,
            happened=bool(evidence) and all(one.happened for one in evidence),
            evidence=[one.said for one in evidence],
            aborted=aborted,
            **ground.told(),
        ),
    )


async def _watch(settings: Settings, ground: Ground, began: float, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        ground.check()
        now = time.monotonic()
        if why := reason_to_abort(settings.abort, ground.record, began, now):
            raise _CalledOff(why)
        if now >= until:
            return
        await asyncio.sleep(min(_LOOK_S, until - now))


async def _watch_while(
    settings: Settings, ground: Ground, began: float, beginning: asyncio.Future[None]
) -> None:
    """As `_watch`, until `beginning` is done."""
    while not beginning.done():
        await _watch(settings, ground, began, 0.0)
        await asyncio.wait({beginning}, timeout=_LOOK_S)
    beginning.result()


async def _recover(
    settings: Settings, ground: Ground, began: float, fault_began: float, fault_ended: float
) -> None:
    """Until it has recovered, and a little longer; or for as long as it is worth waiting."""
    until = fault_ended + settings.after_s
    hits = figures(ground.record, began, fault_began, ()).hits
    while (now := time.monotonic()) < until:
        await _watch(settings, ground, began, 2 * WINDOW_S)
        windows = points(ground.record, began, now - 2 * WINDOW_S, WINDOW_S)
        if recovered_at(windows, fault_ended - began, hits) is not None:
            until = min(until, now + settings.afterwards_s)
            await _watch(settings, ground, began, max(0.0, until - time.monotonic()))


def _begin(fault: Fault, begun: threading.Event) -> None:
    """On a thread."""
    try:
        fault.begin()
    finally:
        begun.set()


def _end(fault: Fault, journal: Journal, begun: threading.Event) -> None:
    """On a thread: once the beginning is over, put things right, and strike them off."""
    begun.wait(_RESTORED_S)
    fault.end()
    journal.paid()


async def _surely(ending: asyncio.Future[None]) -> None:
    """Wait for the end of what a thread does, however often this is cancelled meanwhile."""
    deadline = time.monotonic() + 2 * _RESTORED_S
    cancelled = None
    while not ending.done():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise NotRestored(f"not restored within {2 * _RESTORED_S:g} s: run `cacheaside drill restore`")
        try:
            await asyncio.wait({ending}, timeout=left_s)
        except asyncio.CancelledError as error:
            cancelled = error
    ending.result()
    if cancelled is not None:
        raise cancelled
