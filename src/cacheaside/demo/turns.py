"""Both sides of the comparison, with the cache and without, in turns; then the outages.

Each side lives through the same hours, from the same rows, under the same demand. They take turns of a few seconds,
so that whatever else the machine is doing falls on both alike; the side that rests does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from cacheaside.demo.children import ChildFailed
from cacheaside.demo.embedded import Embedded
from cacheaside.demo.gathered import Gathered
from cacheaside.demo.options import Settings
from cacheaside.demo.side import Side, Stages
from cacheaside.demo.stages import Turn, turns
from cacheaside.demo.verdict import SideReport

__all__ = ["Screen", "measure"]


class Screen(Stages, Protocol):
    """What is told of the turns."""

    def starting(self, planned: Sequence[Turn], gathered: Mapping[bool, Gathered]) -> None:
        """Processes are started for these turns; what each side's say is gathered there."""

    def turn(self, turn: Turn) -> None:
        """A turn begins."""

    def judging(self) -> None:
        """The turns are over, and every answer is compared with the history."""


async def measure(
    databases: Mapping[bool, Path], settings: Settings, tier: Embedded | None, screen: Screen
) -> dict[bool, SideReport]:
    """Run both sides, by whether they have the cache, each on its database; `ChildFailed` when a process breaks."""
    planned = turns(
        settings.seconds, tier=None if tier is None else tier.name, max_unsynced_s=settings.max_unsynced_s
    )
    try:
        async with AsyncExitStack() as stack:
            sides = {
                cache: await stack.enter_async_context(
                    Side.opened(database, settings, tier if cache else None, screen, cache=cache)
                )
                for cache, database in databases.items()
            }
            screen.starting(planned, {cache: side.gathered for cache, side in sides.items()})
            for side in sides.values():
                await side.ready()
            for turn in planned:
                screen.turn(turn)
                await sides[turn.cache].turn(turn)
            screen.judging()
            return {cache: await side.end() for cache, side in sides.items()}
    except* ChildFailed as failed:
        raise failed.exceptions[0] from None
