"""The replay: what it plans, in which order, and when it has it made."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.database import connect
from cacheaside.demo.replay import AT_ONCE_MAX, Replay, ReplayClock, Update, in_order, planned
from cacheaside.demo.timeline import Change, Hold
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600
UNTIL = REPLAY_START + 30 * HOUR


@pytest.fixture
def plan(built: Path) -> list[Update | Hold]:
    with closing(connect(built)) as connection:
        return planned(connection, REPLAY_START, UNTIL)


class Makers:
    """Stands for whoever makes the changes, and holds them up until told."""

    def __init__(self) -> None:
        self.made: list[Update | Hold] = []
        self.under_way = 0
        self.most_at_once = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def make(self, change: Update | Hold) -> None:
        self.begun.set()
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        await self.go.wait()
        self.under_way -= 1
        self.made.append(change)


def update(flight_id: int, at: int = 0) -> Update:
    return Update(Change(at, flight_id, "departed", at, None), "JFK", None)


def test_the_plan_is_what_happened_after_the_start(plan: list[Update | Hold]) -> None:
    """Every change of every flight after the start, in the order of time, and the hold that the weather called for."""
    assert [p.at for p in plan] == sorted(p.at for p in plan)
    of = {
        name: [u.change.status for u in plan if isinstance(u, Update) and u.change.flight_id == i]
        for name, i in ID.items()
    }
    assert of["winter"] == []
    assert of["no plane"] == []
    assert of["island"] == ["departed", "arrived"]
    assert of["midnight"] == ["delayed", "departed", "arrived"]
    assert of["lost"] == ["departed"]
    assert of["cancelled"] == ["cancelled"]
    assert [p for p in plan if isinstance(p, Hold)] == [Hold(REPLAY_START + HOUR, "JFK")]


def test_changes_of_one_moment_keep_their_order() -> None:
    """A flight that departs the minute it was delayed to is delayed first; a hold of that minute comes last."""
    delayed = Update(Change(60, 1, "delayed", 60, None), "JFK", None)
    departed = Update(Change(60, 1, "departed", 60, None), "JFK", None)
    early = Update(Change(0, 2, "departed", 0, None), "JFK", None)
    assert in_order([delayed, departed, early], [Hold(60, "JFK")]) == [
        early,
        delayed,
        departed,
        Hold(60, "JFK"),
    ]


async def test_every_change_is_made_in_its_order(plan: list[Update | Hold]) -> None:
    """Past its last moment the whole plan is made, and each flight's changes in the order that they happened."""
    makers = Makers()
    replay = Replay(makers.make, ReplayClock(UNTIL, 1.0))
    replay.turn(runs=True)
    await replay.run(plan)
    assert len(makers.made) == len(plan)
    for flight_id in ID.values():
        of = [p for p in plan if isinstance(p, Update) and p.change.flight_id == flight_id]
        assert [p for p in makers.made if isinstance(p, Update) and p.change.flight_id == flight_id] == of


async def test_changes_of_other_flights_are_made_beside_each_other() -> None:
    """What is due is made at once as far as a limit goes: not two changes of one flight, and not across a hold."""
    makers = Makers()
    replay = Replay(makers.make, ReplayClock(UNTIL, 1.0))
    replay.turn(runs=True)
    await replay.run([update(n) for n in range(20)])
    assert makers.most_at_once == AT_ONCE_MAX
    for alone in ([update(1), update(1)], [update(1), Hold(0, "JFK"), update(2)]):
        makers.most_at_once = 0
        await replay.run(alone)
        assert makers.most_at_once == 1


async def test_it_stops_between_two_changes(plan: list[Update | Hold]) -> None:
    """A replay that is told to stop makes no more changes, though its next one is far off."""
    makers = Makers()
    replay = Replay(makers.make, ReplayClock(REPLAY_START, 1.0))
    replay.turn(runs=True)
    running = asyncio.create_task(replay.run(plan))
    await asyncio.sleep(0)
    replay.stop()
    await running
    assert makers.made == []


async def test_nothing_changes_while_the_other_side_has_its_turn(plan: list[Update | Hold]) -> None:
    """While its clock stands the replay makes no change, though one is due; with its next turn it goes on."""
    makers = Makers()
    replay = Replay(makers.make, ReplayClock(UNTIL, 1.0))
    running = asyncio.create_task(replay.run(plan))
    replay.turn(runs=False)
    for _ in range(10):
        await asyncio.sleep(0)
    assert makers.made == []
    replay.turn(runs=True)
    await running
    assert len(makers.made) == len(plan)


async def test_a_turn_is_over_when_no_change_is_under_way() -> None:
    """Whoever ends a turn can wait for the changes that were begun in it."""
    makers = Makers()
    makers.go.clear()
    replay = Replay(makers.make, ReplayClock(UNTIL, 1.0))
    await replay.idle()
    replay.turn(runs=True)
    running = asyncio.create_task(replay.run([update(1)]))
    await makers.begun.wait()
    replay.turn(runs=False)
    waiting = asyncio.create_task(replay.idle())
    await asyncio.sleep(0)
    assert not waiting.done()
    makers.go.set()
    await waiting
    await running
    assert len(makers.made) == 1


def test_the_clock_runs_only_in_its_turns() -> None:
    """Between turns no time passes in the replayed day, and nothing can be waited for."""
    clock = ReplayClock(REPLAY_START, 2880.0)
    assert clock.now() == REPLAY_START
    assert clock.seconds_until(REPLAY_START - 1) is None
    clock.run()
    left_s = clock.seconds_until(REPLAY_START + 2880)
    assert left_s is not None
    assert left_s <= 1.0
    clock.stand()
    assert clock.now() == clock.now() >= REPLAY_START
