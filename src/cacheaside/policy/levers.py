"""What was changed of an endpoint at run time, by whom, and who is listened to.

Three may speak: the file beside this process, the fleet (what operators signed and put into the shared tier), and the
program's own code. For each lever by itself:

Rule 1: the file counts before the fleet, the fleet before the code: whoever stands nearer to the incident is heard.
Rule 2: of one speaker, what is said of the endpoint counts before what is said of all (`EVERY`).
Rule 3: what has ended was never said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "EVERY",
    "LEVERS",
    "NOTHING",
    "InForce",
    "Layer",
    "Lever",
    "Levers",
    "Word",
    "in_force",
    "next_end",
]

Lever = Literal["kill", "ramp", "override", "shadow"]
LEVERS: Final[tuple[Lever, ...]] = ("kill", "ramp", "override", "shadow")
EVERY: Final = "*"
"""In place of an endpoint's name: all of them."""


class Word(msgspec.Struct, frozen=True):
    """One lever as somebody set it. until: when that ends, on the clock of whoever holds it; None: when it is reset."""

    to: Any
    until: float | None = None

    def has_ended(self, now: float) -> bool:
        """Whether it counts no more."""
        return self.until is not None and now >= self.until


Levers = Mapping[Lever, Word]
Layer = Mapping[str, Levers]
"""What one speaker says: levers by the name of an endpoint, or `EVERY`. Never changed: another takes its place."""


class InForce(msgspec.Struct, frozen=True):
    """What is in force for one endpoint. said_by: for each lever that somebody set, who; ends: when, for
    those that do; override: of the contract."""

    kill: bool = False
    ramp: float = 100.0
    shadow: float = 0.0
    override: tuple[tuple[str, Any], ...] = ()
    said_by: tuple[tuple[Lever, str], ...] = ()
    ends: tuple[tuple[Lever, float], ...] = ()


NOTHING: Final = InForce()
"""As declared."""


def in_force(layers: Sequence[tuple[str, Layer]], endpoint: str, now: float) -> InForce:
    """What counts for `endpoint` at `now`. layers: who, and what they say; the first counts most."""
    found: dict[Lever, tuple[str, Word]] = {}
    for who, layer in layers:
        for name in (endpoint, EVERY):
            for lever, word in layer.get(name, {}).items():
                if lever not in found and not word.has_ended(now):
                    found[lever] = who, word
    if not found:
        return NOTHING
    return InForce(
        kill=bool(found["kill"][1].to) if "kill" in found else False,
        ramp=float(found["ramp"][1].to) if "ramp" in found else 100.0,
        shadow=float(found["shadow"][1].to) if "shadow" in found else 0.0,
        override=tuple(sorted(found["override"][1].to.items())) if "override" in found else (),
        said_by=tuple((lever, found[lever][0]) for lever in LEVERS if lever in found),
        ends=tuple(
            (lever, until)
            for lever in LEVERS
            if lever in found and (until := found[lever][1].until) is not None
        ),
    )


def next_end(layers: Sequence[tuple[str, Layer]], now: float) -> float | None:
    """When the next word ends that has not; None: none does."""
    ends = [
        word.until
        for _, layer in layers
        for levers in layer.values()
        for word in levers.values()
        if word.until is not None and word.until > now
    ]
    return min(ends, default=None)
