"""How a drill is made: what is broken, how far, for how long, and when it is called off. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from cacheaside.drill.capacity import Capacity
from cacheaside.source.admission import Admission

__all__ = ["NO_LIMIT", "Abort", "Load", "Radius", "Settings", "admission_of"]

NO_LIMIT: Final = 100_000
"""The limit of a source without admission: none that is ever met."""


def admission_of(limit: int) -> Admission:
    """As a service would declare it; or none, by a limit that is never met and does not come down."""
    return Admission(limit, adaptive=limit < NO_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Radius:
    """How far a fault reaches. share: of keys, of tags or of memory, from above 0 to 1. processes: the share of the
    service's that are restarted. seconds: how long what lasts is let last. hot_keys: how many keys expire."""

    share: float = 1.0
    processes: float = 1.0
    seconds: float = 5.0
    hot_keys: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """When a drill is called off and everything restored, looked at ten times a second over the last `window_s`.

    errors: the share of requests that failed or came too late. running: queries at once at the source. p99_s: of what
    was answered. None: not a reason. answers_min: fewer requests than this say nothing.
    """

    errors: float | None = None
    running: int | None = None
    p99_s: float | None = None
    window_s: float = 2.0
    answers_min: int = 20

    def __str__(self) -> str:
        said = []
        if self.errors is not None:
            said.append(f"more than {self.errors:.0%} of requests fail or come too late")
        if self.running is not None:
            said.append(f"more than {self.running} queries run at once")
        if self.p99_s is not None:
            said.append(f"p99 is above {self.p99_s:g} s")
        if not said:
            return "let it run to its end: no --abort-errors, --abort-p99 or --abort-running says when to call it off"
        return f"call it off and restore, when {', or '.join(said)}, over {self.window_s:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Who asks. rate, writes: requests and changes a second. keys: how many things there are; exponent: of Zipf's law.
    patience_s: how long a caller waits; tries: how often it asks, in all."""

    rate: float = 400.0
    writes: float = 3.0
    keys: int = 400
    exponent: float = 0.6
    patience_s: float = 2.0
    tries: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One drill. Durations in seconds.

    before_s: watched before the fault. after_s: after it, at most; less when it has recovered, and then
    `afterwards_s` more. processes: of the
    service. timeout_s: of one load, its wait for a turn included. admission: whether the source's limit is in force.
    delay_s: what `l2-slow` adds to each message. slowness: what `source-slow` multiplies by.
    """

    before_s: float = 4.0
    after_s: float = 20.0
    afterwards_s: float = 2.0
    processes: int = 2
    timeout_s: float = 5.0
    ttl_s: float = 600.0
    grace_s: float = 0.0
    max_unsynced_s: float = 2.0
    admission: bool = True
    delay_s: float = 0.2
    slowness: float = 4.0
    seed: int = 1
    capacity: Capacity = field(default_factory=Capacity)
    load: Load = field(default_factory=Load)
    radius: Radius = field(default_factory=Radius)
    abort: Abort = field(default_factory=Abort)

    @property
    def limit(self) -> int:
        """Of the source, in each process: its share of what the source takes at once."""
        return max(1, self.capacity.slots // self.processes) if self.admission else NO_LIMIT

    @property
    def concurrency_max(self) -> int | None:
        """How many queries all processes may have at the source; None without admission."""
        return self.limit * self.processes if self.admission else None

    def without_admission(self) -> Settings:
        """The same, unprotected."""
        return replace(self, admission=False)
