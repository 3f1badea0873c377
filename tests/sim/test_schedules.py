"""Many seeded schedules over the shipped flows, each judged from outside.

A failure prints the promise that was broken and the command that replays the schedule step by step.
"""

from __future__ import annotations

from typing import Final

import pytest

from cacheaside.testing.simulator.scenario import Sizes, WorldName
from cacheaside.testing.simulator.search import command, search

CHUNK: Final = 4_000
"""Schedules in one test, so that several processes can share the work. Together 104,000."""
CHUNKS: Final[dict[WorldName, int]] = {"embedded": 21, "shared": 5}
USUAL: Final = Sizes()
SOAK: Final = 300_000
SOAK_FIRST: Final = 1_000_000


def check(world: WorldName, first: int, schedules: int, sizes: Sizes = USUAL) -> None:
    searched = search(world, first, 1, schedules, 1e9, sizes)
    failure = searched.failure
    assert failure is None, f"{failure.rule}: {failure.what}\nreplay: {command(failure, None)}"
    assert searched.schedules == schedules
    assert searched.reads > schedules, "schedules in which hardly anybody reads show nothing"


@pytest.mark.parametrize(
    ("world", "chunk"), [(world, chunk) for world, chunks in CHUNKS.items() for chunk in range(chunks)]
)
def test_no_schedule_breaks_a_promise(world: WorldName, chunk: int) -> None:
    """No read is older than an acknowledged write or its contract, and none waits for ever, whatever is interrupted."""
    check(world, chunk * CHUNK, CHUNK)


@pytest.mark.parametrize("world", CHUNKS)
def test_small_schedules_keep_their_promises(world: WorldName) -> None:
    """Two readers and two writers, in every order that chance finds, break nothing."""
    check(world, 0, 2_000, Sizes(2, 2, 2, 1))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("world", CHUNKS)
@pytest.mark.parametrize("part", range(2))
def test_no_schedule_of_a_long_search_breaks_a_promise(world: WorldName, part: int) -> None:
    """The same promises over schedules that no short run has seen."""
    check(world, SOAK_FIRST + part * SOAK, SOAK)
