"""What happened to the flights, planned and paced: each change is made when the clock of the replayed day says so.

Changes of one flight keep their order; those of other flights that are due at the same time are made beside each other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cacheaside.demo.timeline import Change, Hold, Movement, Sky, changes, holds

__all__ = ["AT_ONCE_MAX", "Replay", "ReplayClock", "Update", "in_order", "planned"]

AT_ONCE_MAX: Final = 8
"""How many changes are under way at most."""

_LONGEST_AHEAD_S: Final = 48 * 3600
"""No flight's last change comes later than this after its scheduled departure."""

Make = Callable[["Update | Hold"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Update:
    """A change of one flight, with what it takes to name its tags."""

    change: Change
    origin: str
    tailnum: str | None

    @property
    def at(self) -> int:
        """When it happened, in Unix time."""
        return self.change.at


class ReplayClock:
    """The time of the replayed day: stands at `start`, and runs `speed` times as fast as real time when told to."""

    def __init__(self, start: int, speed: float) -> None:
        self._shown = float(start)
        self._speed = speed
        self._since: float | None = None

    def run(self) -> None:
        """Let it run on from where it stands."""
        self._since = time.monotonic()

    def stand(self) -> None:
        """Stop it."""
        self._shown = self.now()
        self._since = None

    def now(self) -> float:
        """Unix time in the replayed day."""
        passed_s = 0.0 if self._since is None else time.monotonic() - self._since
        return self._shown + passed_s * self._speed

    def seconds_until(self, instant: int) -> float | None:
        """Real seconds until it shows `instant`, not above 0 when it does; None while it stands."""
        return None if self._since is None else (instant - self.now()) / self._speed


class Replay:
    """Has the planned changes made when the clock says so, in their order."""

    def __init__(self, make: Make, clock: ReplayClock) -> None:
        self._make = make
        self._clock = clock
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False

    async def run(self, plan: Sequence[Update | Hold]) -> None:
        """Have every change of `plan` made, in its order, until `stop`."""
        pending = deque(plan)
        while pending and await self._reaches(pending[0].at):
            first = pending.popleft()
            beside = [] if isinstance(first, Hold) else self._due_beside(first, pending)
            self._idle.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    for change in [first, *beside]:
                        group.create_task(self._made(change))
            finally:
                self._idle.set()

    async def _made(self, change: Update | Hold) -> None:
        await self._make(change)

    def _due_beside(self, first: Update, pending: deque[Update | Hold]) -> Iterator[Update]:
        """Take from `pending` what is due as well and may be made at the same time: changes of other flights.

        Their transactions still come one after the other; only the brackets around them overlap.
        """
        flight_ids = {first.change.flight_id}
        while pending and len(flight_ids) < AT_ONCE_MAX and self._clock.now() >= pending[0].at:
            update = pending[0]
            if isinstance(update, Hold) or update.change.flight_id in flight_ids:
                return
            flight_ids.add(update.change.flight_id)
            pending.popleft()
            yield update

    def turn(self, *, runs: bool) -> None:
        """Let the clock run, or have it stand; a change under way is finished."""
        if runs:
            self._clock.run()
        else:
            self._clock.stand()
        self._woken.set()

    async def idle(self) -> None:
        """Wait until no change is under way."""
        await self._idle.wait()

    def stop(self) -> None:
        """Make no more changes after those under way."""
        self._stopped = True
        self._woken.set()

    async def _reaches(self, instant: int) -> bool:
        """Wait until the clock shows `instant`; False when the replay was stopped before."""
        while not self._stopped:
            left_s = self._clock.seconds_until(instant)
            if left_s is not None and left_s <= 0:
                return True
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), left_s)
        return False


def planned(connection: sqlite3.Connection, start: int, until: int) -> list[Update | Hold]:
    """All changes and holds after `start` and up to `until`, in order."""
    rows = connection.execute(
        "SELECT f.id, f.sched_dep, f.sched_arr, o.departed_at, o.arrived_at, f.origin, f.tailnum"
        " FROM flights f JOIN outcomes o ON o.flight_id = f.id WHERE f.sched_dep BETWEEN ? AND ?",
        (start - _LONGEST_AHEAD_S, until + 3600),
    )
    updates = [
        Update(change, row[5], row[6])
        for row in rows
        for change in changes(Movement(*row[:5]))
        if start < change.at <= until
    ]
    observed = connection.execute(
        "SELECT origin, hour, visibility_miles, wind_mph FROM weather WHERE hour BETWEEN ? AND ?"
        " AND visibility_miles IS NOT NULL AND wind_mph IS NOT NULL",
        (start, until),
    )
    return in_order(updates, holds((Sky(*row) for row in observed), start, until))


def in_order(updates: Iterable[Update], held: Iterable[Hold]) -> list[Update | Hold]:
    """By time. Changes of one flight at the same moment keep their order; a hold comes after the changes."""
    # Sorting is stable, and a flight's own changes are given in order.
    return sorted([*updates, *held], key=lambda planned_change: planned_change.at)
