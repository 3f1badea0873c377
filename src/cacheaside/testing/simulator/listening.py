"""What a process hears of the server's changes: in order, and late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.flow.call import Call
from cacheaside.flow.ports import Position, TierAway
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.scenario import MARK_LIFETIME_S
from cacheaside.testing.simulator.scheduler import PARK, POINT
from cacheaside.testing.simulator.server import Server
from cacheaside.types import TagId

__all__ = ["RemoteHeard"]

OPEN: Final = float("inf")


class RemoteHeard:
    """Implements `flow.ports.Heard`, and keeps the gate: L1 answers by itself only when all that was acknowledged to
    others has been heard."""

    def __init__(self, process: Process, server: Server, unavailable: float) -> None:
        self._process = process
        self._server = server
        self._unavailable = unavailable
        self._heard = 0
        self._owed = 0
        self._times: list[tuple[float, int]] = []
        """When each change was heard, with the log's number before it."""
        self._calls = {call.key: call for call in process.calls.values()}

    def position(self) -> Position:
        return Position(self._process.l1.log.number, self._process.scheduler.clock.time)

    async def sync(self) -> None:
        scheduler = self._process.scheduler
        await POINT
        if scheduler.chance(self._unavailable):
            raise TierAway
        sent = len(self._server.feed)
        await POINT
        self._hear_to(sent)

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        """The feed does not tell of marks that expire, so it must have been quiet for one mark's lifetime longer."""
        number = since.number
        for heard_at, before in reversed(self._times):
            if heard_at < since.at - MARK_LIFETIME_S:
                break
            number = min(number, before)
        return self._process.l1.log.unchanged(tags, number)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        process = self._process
        self._changed(tags, calls)
        process.marks.heard(tags, process.scheduler.current)

    def _changed(self, tags: Sequence[TagId], calls: Sequence[Call]) -> None:
        process = self._process
        self._times.append((process.scheduler.clock.time, process.l1.log.number))
        process.l1.changed(tags, calls)
        process.flights.close_touching(tags)
        process.flights.heard(tags)

    def owes(self, feed: int) -> None:
        """So much of the feed has been acknowledged to another process."""
        self._owed = max(self._owed, feed)
        self._set_gate()

    def _set_gate(self) -> None:
        self._process.gate.until = OPEN if self._heard >= self._owed else 0.0

    def may_answer(self) -> bool:
        """Whether L1 may answer by itself."""
        return self._heard >= self._owed

    def _hear_to(self, feed: int) -> None:
        while self._heard < feed:
            but, tags = self._server.feed[self._heard]
            self._heard += 1
            if but != self._process.index:
                self._changed(tags, [self._calls[tag] for tag in tags if tag in self._calls])
        self._set_gate()

    async def listen(self) -> None:
        """Hear one change after the other, each some time after it happened."""
        scheduler = self._process.scheduler
        while True:
            wake = scheduler.wake()
            self._server.listeners.append(wake)
            if self._heard == len(self._server.feed):
                await PARK
            self._server.listeners.remove(wake)
            await scheduler.later(scheduler.pick(self._process.scenario.behind_steps))
            self._hear_to(min(self._heard + 1, len(self._server.feed)))
