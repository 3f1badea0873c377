"""What a warm-up did, and how far it has come: data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = ["Progress", "Stopped", "Warmed"]

Stopped = Literal["time", "refused", "failing", "away", "asked"]
"""Why it ended before its list did: its time was over; the source refused, or failed, or the shared tier did not take
what was loaded, too often in a row; `progress` said so."""


class Progress(msgspec.Struct, frozen=True):
    """asked: keys in the list. done: those that are dealt with. seconds: since the beginning. eta_s: how long the rest
    takes at the pace so far; None before there is one."""

    asked: int
    done: int
    loaded: int
    failed: int
    refused: int
    seconds: float
    eta_s: float | None


class Warmed(msgspec.Struct, frozen=True):
    """asked: keys in the list. Of them:

    loaded: from the source, by this or by a load that was under way. held: this process had them. shared: the shared
    tier had them, and this process has them now. not_stored: loaded, and not kept, by the reason (`NotStored`).
    failed: by endpoint and class of the error. unfit: not asked for, by endpoint and reason: no such endpoint any more,
    other parameters, killed or not let in by a ramp. left: not come to.

    refused: how often the source said `Overloaded`; such keys are tried again. stopped: why it ended early, or None.
    problem: why there was nothing to do. peak_at_once: the most reads under way.
    """

    asked: int = 0
    loaded: int = 0
    held: int = 0
    shared: int = 0
    refused: int = 0
    seconds: float = 0.0
    peak_at_once: int = 0
    not_stored: Mapping[str, int] = msgspec.field(default_factory=dict[str, int])
    failed: Mapping[str, int] = msgspec.field(default_factory=dict[str, int])
    unfit: Mapping[str, int] = msgspec.field(default_factory=dict[str, int])
    stopped: Stopped | None = None
    problem: str | None = None

    @property
    def left(self) -> int:
        """Keys that were not come to; calling it again goes on with them, as what is held is not loaded again."""
        counted = (self.not_stored, self.failed, self.unfit)
        done = self.loaded + self.held + self.shared + sum(sum(one.values()) for one in counted)
        return self.asked - done

    @property
    def is_warm(self) -> bool:
        """Whether at least half of the list is in the cache now."""
        return self.asked > 0 and 2 * (self.loaded + self.held + self.shared) >= self.asked

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made | {"left": self.left}

    def __str__(self) -> str:
        if self.problem is not None:
            return f"nothing was warmed: {self.problem}"
        said = f"{self.loaded:,} loaded, {self.shared:,} in the shared tier, {self.held:,} held already"
        warmed = self.loaded + self.shared + self.held
        lines = [f"warmed {warmed:,} of {self.asked:,} keys in {self.seconds:.1f} s: {said}"]
        if self.stopped is not None:
            lines.append(
                f"ended early ({_WHY[self.stopped]}), {self.left:,} left; refused {self.refused:,} times"
            )
        for word, counts in (
            ("not stored", self.not_stored),
            ("failed", self.failed),
            ("do not fit", self.unfit),
        ):
            lines += [f"{word}: {n:,} ({reason})" for reason, n in counts.items()]
        return "\n".join(lines)


_WHY = {
    "time": "its time was over",
    "refused": "the source refuses",
    "failing": "the source fails",
    "away": "the shared tier does not answer",
    "asked": "as it was told",
}
