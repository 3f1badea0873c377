"""Readers: they ask in every way there is, and have each answer judged."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cacheaside.flow import read as reading
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Failure
from cacheaside.flow.read_many import read_many
from cacheaside.lookup import Lookup, Served, Tier
from cacheaside.stores.redis.plain import Else
from cacheaside.testing.simulator import judge
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.scenario import MARK_LIFETIME_S
from cacheaside.testing.simulator.scheduler import POINT, Cancelled, Task
from cacheaside.testing.simulator.verdicts import Violation

__all__ = ["Counts", "epilogue", "reader"]


class Counts:
    """What was done, for reports. hard: a fill was stopped from outside, or its thread is gone."""

    __slots__ = ("hard", "reads", "schedules", "steps", "writes")

    def __init__(self) -> None:
        self.reads = 0
        self.writes = 0
        self.schedules = 0
        self.steps = 0
        self.hard = False


async def reader(process: Process, counts: Counts) -> None:
    """Read a few times, with pauses."""
    scheduler, scenario = process.scheduler, process.scenario
    keys = process.keys_read
    for _ in range(scenario.reads):
        await POINT
        if scheduler.chance(scenario.pauses):
            await scheduler.sleep(0.25 * (1 + scheduler.pick(24)))
        if scenario.apart_steps:
            await scheduler.later(scheduler.pick(scenario.apart_steps))
        key = keys[scheduler.pick(len(keys))]
        way = scheduler.random()
        if way < 0.82:
            await _once(process, key, way, counts)
        else:
            await _many(process, keys, way < 0.94, counts)


async def epilogue(process: Process, people: list[Task], counts: Counts, *, at_once: bool) -> None:
    """When every mark has expired, and at_once too, when all is over, read everything: what is stale then stays so."""
    scheduler = process.scheduler
    for task in people:
        await scheduler.ended(task)
    for pause_s in (0.0, MARK_LIFETIME_S * (1.0 + process.inexact))[not at_once :]:
        await scheduler.sleep(pause_s)
        for key in process.keys_read:
            await _once(process, key, 0.0, counts)


async def _once(process: Process, key: tuple[str, int], way: float, counts: Counts) -> None:
    scheduler = process.scheduler
    call = process.calls[key]
    if way >= 0.75:
        call = _changed(call, way)
    scheduler.current.boards, scheduler.current.aboard = {}, {}
    counts.reads += 1
    began = judge.begins(process)
    if process.say is not None:
        process.say(f"asks for {call.key}, {'strong' if call.terms.strong else call.terms}")
    try:
        if way < 0.6:
            answer = await process.hits[key[0]](key[1])
        elif way < 0.6 + 0.15 * process.scenario.short:
            answer = await _shortly(process, call)
        else:
            answer = await reading.read(call, process.ports)
    except (Cancelled, Exception) as error:
        if process.say is not None:
            process.say(f"gets {error!r}")
        _failed(process, call, began, error, bool(scheduler.current.boards), counts)
        if isinstance(error, Cancelled):
            raise
        return
    if process.say is not None:
        process.say(f"is answered {answer}")
    judge.answered(process, call, began, answer)


async def _shortly(process: Process, call: Call) -> Any:
    """As a generated function asks where L1 holds nothing: the tier for a plain hit, then a flow."""
    view: Any = call.endpoint
    if process.look is None or view.quick_for_s <= 0:
        return await reading.read(call, process.ports)
    found = await process.look(view, call.key, call.tags[2:])
    if type(found) is Else:
        return await reading.read(call, process.ports, in_vain=found.in_vain, glance=found.glance)
    # Its age is not told: it is judged by what the history of the source shows.
    return Lookup(found, Served.FRESH, None, Tier.L2, math.inf, call.terms.bound_s)


def _changed(call: Call, way: float) -> Call:
    """The same read with nothing served stale, from the source alone, or as when the cache is disabled."""
    terms = replace(call.terms, grace_s=0.0, stale_after_invalidation_s=0.0)
    bypass = False
    if way >= 0.80:
        bypass, terms = True, replace(terms, strong=True, store=False)
    elif way >= 0.78 and terms.store:
        terms = replace(terms, strong=True)
    return Call(call.endpoint, call.slot, call.key, call.tags, call.values, terms, bypass)


async def _many(process: Process, keys: list[tuple[str, int]], batched: bool, counts: Counts) -> None:
    scheduler = process.scheduler
    name = keys[scheduler.pick(len(keys))][0]
    calls = [process.calls[key] for key in keys if key[0] == name]
    calls += calls[: scheduler.pick(2)]
    scheduler.current.boards, scheduler.current.aboard = {}, {}
    counts.reads += len(calls)
    began = judge.begins(process)
    answers: Any = await read_many(calls, process.ports, batched=batched, keys_max=2, at_once=4)
    if len(answers) != len(calls):
        raise Violation("order", f"{len(calls)} keys, {len(answers)} answers")
    for call, answer in zip(calls, answers, strict=True):
        if isinstance(answer, Failure):
            # Each key may have been read by a task of its own, so its flights are not known here.
            _failed(process, call, began, answer.error, None, counts)
        else:
            waited_s = scheduler.clock.time - began.ticket.at
            judge.answered(process, call, began, answer, waited_s)


def _failed(
    process: Process,
    call: Call,
    began: judge.Began,
    error: BaseException,
    loaded: bool | None,
    counts: Counts,
) -> None:
    # A thread that loads cannot be stopped, so its followers may lose patience.
    hard = counts.hard or process.scenario.threads
    judge.failed(process, call, began, error, loaded, hard)
