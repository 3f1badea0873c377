"""The writer: replays what happened to the flights, each change in a transaction of its own and in a bracket.

Beside each change, in the same transaction, it writes down which row version it made and when. When the bracket
has ended, and with it the invalidation, the change is *acknowledged*; that moment is noted too, and stored at the end.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final

from cacheaside import Tag
from cacheaside.demo.catalog import boards, flights, origins, planes
from cacheaside.demo.database import Writer
from cacheaside.demo.timeline import HOLD_AHEAD_S, HOLD_S, Change, Hold, Movement, Sky, changes, holds

__all__ = ["Replay", "ReplayClock", "Update", "in_order", "planned"]

_LONGEST_AHEAD_S: Final = 48 * 3600
"""No flight's last change comes later than this after its scheduled departure."""

_AT_ONCE_MAX: Final = 8

Bracket = Callable[..., AbstractAsyncContextManager[Any]]


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
    """Makes the planned changes when the clock says so, in their order."""

    def __init__(self, writer: Writer, bracket: Bracket, clock: ReplayClock) -> None:
        self._writer = writer
        self._bracket = bracket
        self._clock = clock
        self._woken = asyncio.Event()
        self._stopped = False
        self.acknowledged: list[tuple[float, int]] = []
        """When each change was acknowledged, holds included, and the number of its commit."""
        self.held = 0
        """Bulk holds made so far."""

    async def run(self, plan: Sequence[Update | Hold]) -> None:
        """Make every change of `plan`, in its order, until `stop`."""
        pending = deque(plan)
        while pending and await self._reaches(pending[0].at):
            first = pending.popleft()
            if isinstance(first, Hold):
                await self._hold(first)
                continue
            async with asyncio.TaskGroup() as group:
                for update in [first, *self._due_beside(first, pending)]:
                    group.create_task(self._update(update))

    def _due_beside(self, first: Update, pending: deque[Update | Hold]) -> Iterator[Update]:
        """Take from `pending` what is due as well and may be made at the same time: changes of other flights.

        Their transactions still come one after the other; only the brackets around them overlap.
        """
        flight_ids = {first.change.flight_id}
        while pending and len(flight_ids) < _AT_ONCE_MAX and self._clock.now() >= pending[0].at:
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

    def stop(self) -> None:
        """Make no more changes after the one under way."""
        self._stopped = True
        self._woken.set()

    async def store_acknowledged(self) -> None:
        """Store when each change was acknowledged."""
        await self._writer.run(_store_acknowledged, self.acknowledged)

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

    async def _update(self, update: Update) -> None:
        tags = [flights(update.change.flight_id), boards(update.origin)]
        if update.tailnum is not None:
            tags.append(planes(update.tailnum))
        await self._commit(tags, lambda connection: _write_change(connection, update.change))

    async def _hold(self, hold: Hold) -> None:
        await self._commit(
            [origins(hold.origin), boards(hold.origin)], lambda connection: _write_hold(connection, hold)
        )
        self.held += 1

    async def _commit(self, tags: Iterable[Tag], write: Callable[[sqlite3.Connection], int]) -> None:
        async with self._bracket(*tags):
            commit_id = await self._writer.run(write)
        self.acknowledged.append((time.monotonic(), commit_id))


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


def _write_change(connection: sqlite3.Connection, change: Change) -> int:
    connection.execute(
        "UPDATE flights SET status = ?, expected_dep = ?, expected_arr = ?, version = version + 1 WHERE id = ?",
        (change.status, change.expected_dep, change.expected_arr, change.flight_id),
    )
    return _record(connection, [change.flight_id])


def _write_hold(connection: sqlite3.Connection, hold: Hold) -> int:
    waiting = connection.execute(
        "SELECT id FROM flights WHERE origin = ? AND expected_dep BETWEEN ? AND ?"
        " AND status IN ('scheduled', 'delayed')",
        (hold.origin, hold.at, hold.at + HOLD_AHEAD_S),
    )
    flight_ids = [row[0] for row in waiting]
    connection.executemany(
        "UPDATE flights SET status = 'held', expected_dep = expected_dep + ?, version = version + 1 WHERE id = ?",
        [(HOLD_S, flight_id) for flight_id in flight_ids],
    )
    return _record(connection, flight_ids)


def _record(connection: sqlite3.Connection, flight_ids: Sequence[int]) -> int:
    """Write down the versions just made. The last thing in a transaction, so that `committed_at` is close."""
    committed = connection.execute("INSERT INTO commits (committed_at) VALUES (?)", (time.monotonic(),))
    commit_id = committed.lastrowid
    assert commit_id is not None
    connection.executemany(
        "INSERT INTO history SELECT id, version, ?, origin, expected_dep FROM flights WHERE id = ?",
        [(commit_id, flight_id) for flight_id in flight_ids],
    )
    return commit_id


def _store_acknowledged(connection: sqlite3.Connection, acknowledged: Sequence[tuple[float, int]]) -> None:
    connection.executemany("UPDATE commits SET acknowledged_at = ? WHERE id = ?", acknowledged)
