"""Both sides of the comparison, with the cache and without, in turns.

Each side lives through the same hours, from the same rows, under the same demand. They take turns of a few seconds,
so that whatever else the machine is doing falls on both alike; the side that rests does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

from cacheaside.demo.children import ChildFailed
from cacheaside.demo.report import Phase
from cacheaside.demo.side import Pulses, Settings, Side

__all__ = ["Screen", "measure"]

_TURN_S: Final = 2.5


class Screen(Pulses, Protocol):
    """What is told of the turns."""

    def starting(self, *, seconds: float) -> None:
        """Processes are started, and each side will be under load for so long."""

    def turn(self, *, cache: bool) -> None:
        """A turn begins."""

    def turn_ends(self) -> None:
        """The turn is over."""


async def measure(databases: Mapping[bool, Path], settings: Settings, screen: Screen) -> dict[bool, Phase]:
    """Run both sides, by whether they have the cache, each on its database; `ChildFailed` when a process breaks."""
    screen.starting(seconds=settings.seconds)
    turns = max(1, round(settings.seconds / _TURN_S))
    try:
        async with AsyncExitStack() as stack:
            sides = [
                await stack.enter_async_context(Side.opened(database, settings, screen, cache=cache))
                for cache, database in databases.items()
            ]
            for number in range(turns):
                # The one that came second comes first in the next round: there and back again cancels a drift.
                for side in sides if number % 2 == 0 else reversed(sides):
                    screen.turn(cache=side.cache)
                    await side.turn(settings.seconds / turns)
                    screen.turn_ends()
            return {side.cache: await side.end() for side in sides}
    except* ChildFailed as failed:
        raise failed.exceptions[0] from None
