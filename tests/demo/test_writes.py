"""The changes: what they write, what they write down, and what they say is out of date."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.catalog import boards, flights, origins, planes
from cacheaside.demo.database import Writer, connect
from cacheaside.demo.ledger import Ledger, store_moments
from cacheaside.demo.records import whole_history
from cacheaside.demo.replay import Update, planned
from cacheaside.demo.timeline import Hold
from cacheaside.demo.writes import Writes
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cacheaside import Tag

HOUR = 3600


class Brackets:
    """Stands in for `cache.changing`, and remembers what was named."""

    def __init__(self) -> None:
        self.named: list[tuple[Tag, ...]] = []

    def __call__(self, *tags: Tag) -> nullcontext[Any]:
        self.named.append(tags)
        return nullcontext()


@pytest.fixture
async def writer(built: Path) -> AsyncIterator[Writer]:
    writer = await asyncio.to_thread(Writer, built)
    yield writer
    await writer.close()


@pytest.fixture
def plan(built: Path) -> list[Update | Hold]:
    with closing(connect(built)) as connection:
        return planned(connection, REPLAY_START, REPLAY_START + 30 * HOUR)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def make(changes: Sequence[Update | Hold], writer: Writer, brackets: Brackets) -> Writes:
    """Make all of `changes`, as process 7, and store when they were done."""
    ledger = Ledger(lambda: 0)
    writes = Writes(writer, brackets, ledger, 7)
    for change in changes:
        await (writes.hold(change) if isinstance(change, Hold) else writes.update(change))
    await writer.run(store_moments, list(ledger.changes.values()))
    return writes


async def test_each_change_is_committed_and_written_down(
    built: Path, plan: list[Update | Hold], writer: Writer
) -> None:
    """Afterwards the rows are as it really ended, and the history holds every version, its moments and its maker."""
    writes = await make(plan, writer, Brackets())
    assert dict(rows(built, "SELECT id, status FROM flights"))[ID["midnight"]] == "arrived"
    history, commits = await asyncio.to_thread(whole_history, built)
    for flight_id, version in rows(built, "SELECT id, version FROM flights"):
        assert [w.version for w in history.writes(flight_id)] == list(range(2, version + 1))
    assert len(commits) == len(plan)
    assert {c.process for c in commits} == {7}
    for c in commits:
        assert c.done_at is not None
        assert c.acknowledged_at is not None
        assert c.committed_at < c.done_at <= c.acknowledged_at
    assert writes.held == 1


async def test_a_hold_puts_off_all_that_wait(built: Path, writer: Writer) -> None:
    """A hold moves every waiting departure of its airport in the next two hours by one hour, in one commit."""
    before = dict(rows(built, "SELECT id, expected_dep FROM flights"))
    await make([Hold(before[ID["first leg"]] - HOUR, "JFK")], writer, Brackets())
    after = dict(rows(built, "SELECT id, expected_dep FROM flights"))
    moved = {name for name, flight_id in ID.items() if after[flight_id] != before[flight_id]}
    assert moved == {"first leg", "pacific"}
    assert {after[ID[name]] - before[ID[name]] for name in moved} == {HOUR}
    assert rows(built, "SELECT count(DISTINCT commit_id), count(*) FROM history") == [(1, 2)]


async def test_a_change_names_the_tags_it_touches(plan: list[Update | Hold], writer: Writer) -> None:
    """A flight's change names it, the boards of its airport and its plane; a hold names the airport as a whole."""
    brackets = Brackets()
    departure = next(p for p in plan if isinstance(p, Update) and p.change.flight_id == ID["first leg"])
    await make([departure, Hold(REPLAY_START, "JFK")], writer, brackets)
    assert brackets.named == [
        (flights(ID["first leg"]), boards("JFK"), planes("N298JB")),
        (origins("JFK"), boards("JFK")),
    ]
