"""What a run goes through: turns without the cache and with it, then outages of the shared tier. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

__all__ = ["WITH", "WITHOUT", "Event", "Stage", "Turn", "seconds_of", "turns"]

WITHOUT: Final = "without the cache"
WITH: Final = "with the cache"

_TURN_S: Final = 2.5
_COMPARED_SHARE: Final = 5 / 13
"""Of a run with outages, for the comparison before them: 10 of 26 seconds."""
_COMPARED_TURNS: Final = 2


class Event(Enum):
    """What befalls the shared tier."""

    KILL = auto()
    """SIGKILL: connections break, and all it held is lost."""
    RETURN = auto()
    """Started again, empty."""
    FREEZE = auto()
    """SIGSTOP: connections stay open, and nothing answers."""
    THAW = auto()
    """SIGCONT: it goes on with all it held."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run under one name, begun by `event`. A name may come again, and means the same then.

    means: what an onlooker should know of it.
    """

    name: str
    seconds: float
    means: str
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Stages that one side lives through under one load."""

    cache: bool
    stages: tuple[Stage, ...]


def seconds_of(turn: Turn) -> float:
    """How long a turn takes."""
    return sum(stage.seconds for stage in turn.stages)


def turns(seconds: float, *, tier: str | None, max_unsynced_s: float) -> list[Turn]:
    """The turns of a run of `seconds`. `tier` is the shared tier's name; without one there is nothing to go away."""
    if tier is None:
        return _compared(seconds, max(1, round(seconds / 2 / _TURN_S)), _ALONE)
    compared_s = seconds * _COMPARED_SHARE
    outages = Turn(cache=True, stages=tuple(_outages((seconds - compared_s) / 4, tier, max_unsynced_s)))
    return [*_compared(compared_s, _COMPARED_TURNS, _SHARED.format(tier=tier)), outages]


def _compared(seconds: float, each: int, means: str) -> list[Turn]:
    """Both sides in turns. The one that came second comes first in the next round: there and back again cancels a
    drift of the machine."""
    one_s = seconds / 2 / each
    sides = (
        Turn(cache=False, stages=(Stage(WITHOUT, one_s, "Every read goes to the database."),)),
        Turn(cache=True, stages=(Stage(WITH, one_s, means),)),
    )
    return [side for number in range(each) for side in (sides if number % 2 == 0 else reversed(sides))]


_ALONE: Final = "One process keeps what it loaded, until a change invalidates it."
_SHARED: Final = (
    "Each process keeps what it loaded (L1), and shares it with the others over {tier} (L2); each hears of the others'"
    " changes."
)


def _outages(each_s: float, tier: str, max_unsynced_s: float) -> list[Stage]:
    alone = f"for {max_unsynced_s:g} s each process still answers from L1, then everything comes from the database"
    return [
        Stage(
            f"{tier} killed",
            each_s,
            f"SIGKILL: {alone}. Writes go on; what they invalidate is told when {tier} is back.",
            Event.KILL,
        ),
        Stage(
            f"{tier} back",
            each_s,
            "It came back empty: the processes connect again, tell what they owe, and fill it anew.",
            Event.RETURN,
        ),
        Stage(
            f"{tier} frozen",
            each_s,
            f"SIGSTOP: connections stay open and nothing answers; {alone}.",
            Event.FREEZE,
        ),
        Stage(
            f"{tier} thawed",
            each_s,
            "It holds what it held: until what is owed got through, another process may still be given that.",
            Event.THAW,
        ),
    ]
