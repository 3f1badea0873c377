"""Prints one schedule, step by step: who goes on, what it asks of its ports, and what it gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import fields
from inspect import iscoroutine
from typing import Any, Final

from cacheaside.flow.call import Call, Record
from cacheaside.flow.flights import Flight, Landing
from cacheaside.flow.ports import Found, Loaded, Position
from cacheaside.lookup import Lookup
from cacheaside.testing.simulator.scheduler import Scheduler, Task
from cacheaside.testing.simulator.world import World

__all__ = ["attach", "setting"]

Say = Callable[[str], None]
SHORT: Final = 400
WRITER: Final = re.compile("[0-9a-f]{24}")
PARTS: Final = {
    "tier": (
        "stamp",
        "fetch",
        "fetch_many",
        "peek",
        "store",
        "remove",
        "bump",
        "mark",
        "release",
        "hand_back",
    ),
    "l1": ("keep", "drop", "changed"),
    "flights": ("board", "alone", "close", "land"),
    "loads": ("load",),
}


def setting(world: World) -> list[str]:
    """The scenario, one fact a line."""
    scenario = world.scenario
    lines = [f"{one.name} = {getattr(scenario, one.name)}" for one in fields(scenario) if one.name != "terms"]
    return lines + [f"terms of {name}: {scenario.terms[name]}" for name in scenario.views]


def attach(world: World, say: Say) -> None:
    """Have `say` told of every step of `world`."""
    scheduler = world.scheduler
    last: list[Task] = []

    def stepped(task: Task) -> None:
        if last[-1:] != [task]:
            say(f"{scheduler.steps:5d}  {scheduler.clock.time - 1000:7.2f} s  {task.name}")
        last[:] = [task]

    scheduler.stepped = stepped
    _wrap(world.rows, "commit", "source.commit", scheduler, say)
    _wrap(world.promises, "make", "promised", scheduler, say)
    if world.shared is not None:
        world.shared.say = lambda text: say(
            f"{scheduler.steps:5d}  {scheduler.clock.time - 1000:7.2f} s  ({text})"
        )
    for process in world.processes:
        which = f"{process.index}:" if len(world.processes) > 1 else ""
        process.say = lambda text: say(f"{' ' * 18}{text}")
        for part, names in PARTS.items():
            holder = process.ports.tier if part == "tier" else getattr(process, part)
            for name in names:
                _wrap(holder, name, f"{which}{part}.{name}", scheduler, say)


def _wrap(holder: Any, name: str, shown: str, scheduler: Scheduler, say: Say) -> None:
    inner = getattr(holder, name)

    def before(args: tuple[Any, ...]) -> str:
        return f"{shown}({', '.join(_text(arg) for arg in args)})"[:SHORT]

    def after(call: str, task: Task, answer: Any) -> None:
        other = "" if task is scheduler.current else f"  [{task.name}]"
        say(f"{' ' * 18}{call}{'' if answer is None else f' -> {_text(answer)}'[:SHORT]}{other}")

    async def awaited(call: str, task: Task, answering: Coroutine[Any, Any, Any]) -> Any:
        try:
            answer = await answering
        except BaseException as error:
            after(call, task, error)
            raise
        after(call, task, answer)
        return answer

    def called(*args: Any, **kwargs: Any) -> Any:
        call, task = before(args), scheduler.current
        answer = inner(*args, **kwargs)
        if iscoroutine(answer):
            say(f"{' ' * 18}{call} …")
            return awaited(call, task, answer)
        after(call, task, answer)
        return answer

    setattr(holder, name, called)


def _text(value: Any) -> str:
    match value:
        case Call() | Flight():
            return str(value.key)
        case Record():
            return f"{value.held} stamped {dict(zip(value.tags, value.generations, strict=True))}"
        case Landing():
            return f"{value.error or value.value}{' moved' if value.moved else ''} {value.not_stored or 'stored'}"
        case Lookup():
            return f"{value.value} {value.served} {value.age_s:g} s old"
        case Loaded():
            return f"{value.results} nested {value.nested}{'' if value.vouched else ' not vouched for'}"
        case Position():
            return f"after {value.number}"
        case Found():
            return str(value.value)
        case list() | tuple() | frozenset():
            return f"[{', '.join(_text(one) for one in value)}]"
        case str() if WRITER.fullmatch(value):
            return "writer"  # its number is drawn by the system, and differs each time
        case BaseException():
            return f"{type(value).__name__}({value})"
        case _:
            return str(value)
