"""The writer: what it plans, in which order, and that it writes down what it did."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.catalog import boards, flights, origins, planes
from cacheaside.demo.database import Writer, connect
from cacheaside.demo.records import whole_history
from cacheaside.demo.replay import Replay, ReplayClock, Update, in_order, planned
from cacheaside.demo.timeline import Change, Hold
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from pathlib import Path

    from cacheaside import Tag

HOUR = 3600
UNTIL = REPLAY_START + 30 * HOUR


@pytest.fixture
def plan(built: Path) -> list[Update | Hold]:
    with closing(connect(built)) as connection:
        return planned(connection, REPLAY_START, UNTIL)


class Brackets:
    """Stands in for `cache.changing`, and remembers what was named."""

    def __init__(self) -> None:
        self.named: list[tuple[Tag, ...]] = []

    def __call__(self, *tags: Tag) -> nullcontext[Any]:
        self.named.append(tags)
        return nullcontext()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def replayed(path: Path, plan: list[Update | Hold], brackets: Brackets) -> Replay:
    """All of `plan`, done as fast as it goes."""
    clock = ReplayClock(UNTIL, 1.0)  # past every change
    writer = await asyncio.to_thread(Writer, path)
    replay = Replay(writer, brackets, clock)
    replay.turn(runs=True)
    await replay.run(plan)
    await replay.store_acknowledged()
    await writer.close()
    return replay


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


async def test_each_change_is_committed_and_written_down(built: Path, plan: list[Update | Hold]) -> None:
    """After the replay the rows are as it really ended, and the history holds every version with its moments."""
    replay = await replayed(built, plan, Brackets())
    assert dict(rows(built, "SELECT id, status FROM flights"))[ID["midnight"]] == "arrived"
    history = await asyncio.to_thread(whole_history, built)
    for flight_id, version in rows(built, "SELECT id, version FROM flights"):
        writes = history.writes(flight_id)
        assert [w.version for w in writes] == list(range(2, version + 1))
        assert all(w.acknowledged_at is not None and w.committed_at < w.acknowledged_at for w in writes)
    assert len(replay.acknowledged) == len(plan)
    assert replay.held == 1


async def test_a_hold_puts_off_all_that_wait(built: Path, plan: list[Update | Hold]) -> None:
    """A hold moves every waiting departure of its airport in the next two hours by one hour, in one commit."""
    before = dict(rows(built, "SELECT id, expected_dep FROM flights"))
    hold = Hold(before[ID["first leg"]] - HOUR, "JFK")
    await replayed(built, [hold], Brackets())
    after = dict(rows(built, "SELECT id, expected_dep FROM flights"))
    moved = {name for name, flight_id in ID.items() if after[flight_id] != before[flight_id]}
    assert moved == {"first leg", "pacific"}
    assert {after[ID[name]] - before[ID[name]] for name in moved} == {HOUR}
    assert rows(built, "SELECT count(DISTINCT commit_id), count(*) FROM history") == [(1, 2)]


async def test_a_change_names_the_tags_it_touches(built: Path, plan: list[Update | Hold]) -> None:
    """A flight's change names it, the boards of its airport and its plane; a hold names the airport as a whole."""
    brackets = Brackets()
    departure = next(p for p in plan if isinstance(p, Update) and p.change.flight_id == ID["first leg"])
    await replayed(built, [departure, Hold(REPLAY_START, "JFK")], brackets)
    assert brackets.named == [
        (flights(ID["first leg"]), boards("JFK"), planes("N298JB")),
        (origins("JFK"), boards("JFK")),
    ]


async def test_it_stops_between_two_changes(built: Path, plan: list[Update | Hold]) -> None:
    """A replay that is told to stop makes no more changes, though its next one is far off."""
    writer = await asyncio.to_thread(Writer, built)
    replay = Replay(writer, Brackets(), ReplayClock(REPLAY_START, 1.0))
    replay.turn(runs=True)
    running = asyncio.create_task(replay.run(plan))
    await asyncio.sleep(0)
    replay.stop()
    await running
    await writer.close()
    assert replay.acknowledged == []


async def test_nothing_changes_while_the_other_side_has_its_turn(
    built: Path, plan: list[Update | Hold]
) -> None:
    """While its clock stands the replay makes no change, though one is due; with its next turn it goes on."""
    writer = await asyncio.to_thread(Writer, built)
    replay = Replay(writer, Brackets(), ReplayClock(UNTIL, 1.0))
    running = asyncio.create_task(replay.run(plan))
    replay.turn(runs=False)
    for _ in range(10):
        await asyncio.sleep(0)
    assert replay.acknowledged == []
    replay.turn(runs=True)
    await running
    await writer.close()
    assert len(replay.acknowledged) == len(plan)


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
