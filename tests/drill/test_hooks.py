"""What a user brings, and what is made of it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Lookup, Overloaded, Served, Tier
from cacheaside.drill.drills import DRILLS
from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.settings import Radius, Settings
from cacheaside.drill.user.consent import consented, words_for
from cacheaside.drill.user.ground import Brought
from cacheaside.drill.user.hooks import Ended, asked_once, lines_of, located, numbers_of
from cacheaside.drill.user.run import drill_theirs
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from pathlib import Path

JOINED = Lookup("x", Served.COLLAPSED, None, Tier.SOURCE, 0.0, 1.0)
HIT = Lookup("x", Served.FRESH, None, Tier.L2, 0.0, 1.0)


@pytest.mark.parametrize(
    ("said", "how"),
    [(None, "unknown"), (True, "l2"), (False, "source"), (HIT, "l2"), (JOINED, "joined"), ("refused", "refused"),
     ("hit", "l2"), ("miss", "source"), ("ok", "unknown"), ("whatever", "unknown"), (200, "unknown")],
)  # fmt: skip
async def test_what_a_function_says_is_understood(said: Any, how: str) -> None:
    """A lookup, a word, whether it was a hit, or nothing."""

    async def ask() -> Any:
        return said

    assert await asked_once(ask)(None) == (how, 0)


async def test_what_a_function_raises_is_a_failure() -> None:
    """Whatever a client raises the request failed; an `Overloaded` is a refusal; a plain function is as good."""

    def fails() -> None:
        raise OSError("nobody is there")

    async def refuses() -> None:
        raise Overloaded("full", endpoint="e", source="s", retry_after_s=1.0)

    assert (await asked_once(fails)(None))[0] == "failed"
    assert (await asked_once(refuses)(None))[0] == "refused"


async def test_a_function_with_a_parameter_is_told_the_key() -> None:
    """What to ask for."""
    asked = []
    await asked_once(asked.append)(7)
    assert asked == [7]


async def test_numbers_come_from_either_colour() -> None:
    """A pair, from a plain function or an `async def`."""

    async def later() -> tuple[int, int]:
        return 3, 9

    assert (await numbers_of(later)).done == 9
    assert (await numbers_of(lambda: (3, 9))).running == 3


@pytest.mark.parametrize("name", ["nothing", "no.such.module:f", "json:no_such_name"])
def test_a_function_that_is_not_there_is_an_error_in_a_line(name: str) -> None:
    """It says which, before anything is touched."""
    with pytest.raises(CannotDrill, match=name.partition(":")[0]):
        located(name, "--ask")


def script(folder: Path, line: str) -> str:
    """A command that prints a line again and again."""
    path = folder / f"prints-{len(line)}.py"
    path.write_text(f"import time\nwhile True:\n    print({line!r}, flush=True)\n    time.sleep(0.01)\n")
    return f"{sys.executable} {path}"


@pytest.mark.blocks_loop  # to start a program is to look for it
async def test_a_command_is_heard_and_ended(tmp_path: Path) -> None:
    """Each line is told, and the command gets SIGTERM at the end of the block."""
    told: asyncio.Queue[Ended] = asyncio.Queue()
    command = script(tmp_path, '{"ms": 5, "how": "miss"}')
    async with lines_of(command, told.put_nowait, Ended) as hearing:
        async with asyncio.timeout(20.0):
            assert [(await told.get()).word for _ in range(3)] == ["source"] * 3
    assert hearing.done()


@pytest.mark.parametrize(
    ("command", "why"),
    [(f"{sys.executable} -c pass", "ended by itself"), (f"{sys.executable} -c 'print(1)'", "cannot be read")],
)
async def test_a_command_that_breaks_down_says_so(command: str, why: str) -> None:
    """One that ends, or prints what is no such line, is an error and no silence."""
    async with lines_of(command, lambda _: None, Ended) as hearing:
        with pytest.raises(CannotDrill, match=why):
            await asyncio.wait_for(hearing, 20.0)


async def test_a_command_that_is_not_there_is_an_error() -> None:
    """It says which."""
    with pytest.raises(CannotDrill, match="no-such-program"):
        async with lines_of("no-such-program --fast", lambda _: None, Ended):
            raise AssertionError


def test_a_target_is_named_without_its_password() -> None:
    """What the user is to type holds no secret."""
    assert words_for("redis://me:hush@cache-1:6379/0", "shop") == "shop@cache-1:6379"


def test_consent_is_typed_or_given_and_nothing_else() -> None:
    """The very target; neither a bare yes nor that of another server will do."""
    url = "redis://:hush@cache-1:6379/0"
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return " shop@cache-1:6379 "

    consented(url, "shop", "shop@cache-1:6379", None)
    consented(url, "shop", None, typed)
    assert "hush" not in asked[0]
    for given, at_a_terminal in (
        ("yes", None),
        (None, lambda _: "y"),
        (None, None),
        ("other@cache-1:6379", typed),
    ):
        with pytest.raises(CannotDrill, match="--yes shop@cache-1:6379"):
            consented(url, "shop", given, at_a_terminal)


def test_a_drill_by_commands_alone(tmp_path: Path) -> None:
    """A service that is no Python program: one command asks it, another reads its source."""
    with Server() as server:
        for number in range(20):
            server.ask("SET", f"shop:product:{number}", "x")
        brought = Brought(
            url=server.url,
            namespace="shop",
            ask_command=script(tmp_path, '{"ms": 2, "how": "ok"}'),
            source_command=script(tmp_path, '{"running": 2, "done": 9}'),
            capacity_running=4,
        )
        settings = replace(Settings(before_s=1.0, after_s=5.0, afterwards_s=0.2), radius=Radius(share=1.0))
        report = asyncio.run(drill_theirs(DRILLS["flush"], settings, brought, tmp_path, lambda _: None))
        assert server.ask("DBSIZE") == 0
    assert report.verdict == "held", report.findings
    assert report.peak_running == 2
    assert report.before.answered > 20
