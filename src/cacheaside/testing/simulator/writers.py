"""Writers: they change the source and say so, in every way there is, and some die on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.endpoint.changing import Changing
from cacheaside.errors import Unacknowledged
from cacheaside.flow import write as writing
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Flow
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.rows import NOWHERE
from cacheaside.testing.simulator.scenario import MARK_LIFETIME_S
from cacheaside.testing.simulator.scheduler import POINT, Cancelled
from cacheaside.testing.simulator.views import EVERYTHING, GROUPS, KEYED, ROWS, tag_of
from cacheaside.types import TagId

__all__ = ["writer"]

RETRIES_MAX: Final = 4
Changes = dict[int, int]


class ConnectionLost(Exception):
    """The writer does not learn whether its commit happened."""


async def writer(process: Process, counts: Counts) -> None:
    """Write a few times, with pauses."""
    scheduler, scenario = process.scheduler, process.scenario
    unmarked = 1.0 - scenario.brackets
    for _ in range(scenario.writes):
        await POINT
        if scheduler.chance(scenario.pauses):
            await scheduler.sleep(0.25 * (1 + scheduler.pick(24)))
        if scenario.apart_steps:
            await scheduler.later(scheduler.pick(scenario.apart_steps))
        counts.writes += 1
        if process.reads_keyed and scheduler.chance(0.6):
            await _key(process)
            continue
        changes = _changes(process)
        way = scheduler.random()
        if way >= unmarked:
            await _bracket(process, changes)
        elif way < unmarked * scenario.sweeping:
            await _after_commit(process, changes, (EVERYTHING,))
        else:
            await _after_commit(process, changes, tuple(tag_of(thing) for thing in changes))


def _changes(process: Process) -> Changes:
    """What one transaction changes: mostly one of the things that are read, else both rows, or a row and a group."""
    scheduler = process.scheduler
    way = scheduler.random()
    if way < 0.8:
        read = process.things_read
        thing = read[scheduler.pick(len(read))]
        return {thing: _content(process) if thing < ROWS else NOWHERE}
    if way < 0.9:
        return {0: _content(process), 1: _content(process)}
    return {scheduler.pick(ROWS): _content(process), GROUPS[scheduler.pick(len(GROUPS))]: NOWHERE}


def _content(process: Process) -> int:
    scheduler = process.scheduler
    return NOWHERE if scheduler.chance(0.2) else GROUPS[scheduler.pick(len(GROUPS))]


async def _after_commit(process: Process, changes: Changes, tags: tuple[TagId, ...]) -> None:
    scheduler = process.scheduler
    await POINT
    versions = process.rows.commit(changes)
    for _ in range(RETRIES_MAX):
        await POINT
        try:
            await _surely(process, writing.invalidate(tags, process.ports), tags)
        except (Unacknowledged, Cancelled) as error:
            process.unacknowledged(versions, tags)
            if isinstance(error, Cancelled):
                raise
            if scheduler.chance(0.5):
                return
            continue
        process.acknowledged(versions, tags)
        return


async def _key(process: Process) -> None:
    """Change what only a key stands for, and invalidate or purge that key."""
    scheduler, call = process.scheduler, process.calls["keyed", KEYED]
    await POINT
    versions = process.rows.commit({KEYED: NOWHERE})
    purges = scheduler.chance(0.3)
    for _ in range(RETRIES_MAX):
        await POINT
        try:
            if purges:
                await _surely(process, writing.purge(call, process.ports), (call.key,), (call,))
            else:
                flow = writing.invalidate((call.key,), process.ports, (call,))
                await _surely(process, flow, (call.key,), (call,))
        except (Unacknowledged, Cancelled) as error:
            process.unacknowledged(versions, (call.key,))
            if isinstance(error, Cancelled):
                raise
            if scheduler.chance(0.5):
                return
            continue
        process.acknowledged(versions, (call.key,))
        return


async def _surely(process: Process, flow: Flow, tags: tuple[TagId, ...], calls: Sequence[Call] = ()) -> None:
    """As the library awaits it, or, on a thread, runs it: there a cancellation stands for a signal whose handler
    raises. Whoever is interrupted was told nothing; this process takes the tags for invalidated all the same."""
    if process.scenario.threads:
        await flow
    else:
        await writing.to_its_end(flow, tags, process.ports, calls)


async def _bracket(process: Process, changes: Changes) -> None:
    """The bracket: confirmed, rolled back, or with a commit whose outcome the writer does not learn.

    Whatever becomes of the writer, once its marks have expired nobody may read what is older than its commit.
    """
    scheduler, rows, promises = process.scheduler, process.rows, process.promises
    tags = tuple(tag_of(thing) for thing in changes)
    began = scheduler.clock.time
    versions: Changes = {}

    def commit() -> None:
        versions.update(rows.commit(changes))
        stands = scheduler.clock.time < began + MARK_LIFETIME_S * (1.0 - process.inexact)
        if stands and is_marked and not promises.lost_since(began, versions):
            due = entered + MARK_LIFETIME_S * (1.0 + process.inexact)
            promises.make(dict(versions), process.index, at=due, number=process.number_of(tags))

    committed = False
    fate = scheduler.random()
    dies = scheduler.chance(process.scenario.deaths)
    try:
        async with Changing(tags[:1], process) as change:  # type: ignore[arg-type]
            if len(tags) > 1:
                await change.add(*tags[1:])  # type: ignore[arg-type]
            entered = scheduler.clock.time
            is_marked = not process.shared or change._write.marked.issuperset(tags)  # noqa: SLF001 - nobody else asks
            await POINT
            if scheduler.chance(0.35):
                await scheduler.sleep(0.5 * (1 + scheduler.pick(8)))
            if fate < 0.1:
                change.rolled_back()
                return
            if fate < 0.4:
                if fate < 0.35:
                    scheduler.at(scheduler.clock.time + 0.5 * scheduler.pick(8), commit)
                raise ConnectionLost
            commit()
            committed = True
            if dies:
                scheduler.kill(scheduler.current)
            await POINT
    except ConnectionLost:
        return
    except (Unacknowledged, Cancelled) as error:
        if committed:
            process.unacknowledged(versions, tags)
        if isinstance(error, Cancelled):
            raise
        return
    if process.when_away == "raise":
        process.acknowledged(versions, tags)
    else:
        # The writer is not told which, and tags that are owed count as changing until they are paid.
        process.unacknowledged(versions, tags)
