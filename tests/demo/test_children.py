"""Child processes: heard, told, and never left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.children import Child, ChildFailed
from cacheaside.demo.messages import Begin, FromLoad, Listening

if TYPE_CHECKING:
    from pathlib import Path

ECHO = """
import asyncio
from cacheaside.demo.messages import Listening, ToChild
from cacheaside.demo.pipes import Parent

async def main():
    parent = Parent(ToChild)
    async for order in parent.orders():
        parent.tell(Listening(7))

asyncio.run(main())
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"type":"listening"}', flush=True)
time.sleep(600)
"""
TELLS = """
import os
print('{"type":"listening","port":%s}' % os.environ.get("A_PORT", "0"))
"""
BROKEN = "raise SystemExit('the reason')"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that a child can be started from; a test writes its source to it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "a_child"


def child(source: str, tmp_path: Path, module: str) -> Child[FromLoad]:
    (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
    return Child(module, [], FromLoad)


async def test_orders_go_in_and_reports_come_out(tmp_path: Path, module: str) -> None:
    """A child hears each order and is heard; it ends when its orders do."""
    async with child(ECHO, tmp_path, module) as echo:
        for _ in range(2):
            echo.tell(Begin(1.0))
            assert await anext(echo.reports()) == Listening(7)
    assert echo.exit_code == 0


async def test_a_child_that_breaks_says_why(tmp_path: Path, module: str) -> None:
    """A child that ended in error is an error with its last words."""
    async with child(BROKEN, tmp_path, module) as broken:
        with pytest.raises(ChildFailed, match="the reason"):
            await anext(broken.reports())


async def test_a_child_that_does_not_stop_is_killed(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that does not take the end of its orders for one is killed when patience ends."""
    monkeypatch.setattr("cacheaside.demo.children._PATIENCE_S", 0.0)
    async with child(DEAF, tmp_path, module) as deaf:
        await anext(deaf.reports())
    assert deaf.exit_code not in (0, None)


async def test_a_child_finds_what_it_is_given_in_its_environment(tmp_path: Path, module: str) -> None:
    """Variables for a child are there besides those of this process, and of no other child."""
    (tmp_path / f"{module}.py").write_text(TELLS, encoding="utf-8")
    for environment, port in (({"A_PORT": "9"}, 9), ({}, 0)):
        async with Child[FromLoad](module, [], FromLoad, environment) as given:
            assert await anext(given.reports()) == Listening(port)


async def test_a_child_that_is_hung_up_on_ends_by_itself(tmp_path: Path, module: str) -> None:
    """Hung up on, a child takes it as the order to stop; to do it again at its end is harmless."""
    async with child(ECHO, tmp_path, module) as echo:
        echo.hang_up()
        assert [report async for report in echo.reports()] == []
        assert echo.exit_code == 0
