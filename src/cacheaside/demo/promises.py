"""May this response miss that change? What the contract and several processes allow each other, rule by rule. Pure.

Rule 1: until a change is done, both sides of it may be shown.
Rule 2: once it is done, no answer of the process that made it misses it.
Rule 3: L1 of another process may miss it for `max_unsynced` after its acknowledgement (G2); so may a load that was
        joined there. What comes from the shared tier or from a load of its own may not (G1).
Rule 4: while the tier is away the change is done and not acknowledged: it is *owed*. Until it got through, other
        processes may miss it, but only where an old value can be come by. None can be, `max_unsynced` after the tier
        went away, since L1 has stopped answering by then: not before the tier is back; and not after that either, when
        it came back empty. So what was done before it came back must be seen then.
Rule 5: whatever else is allowed, nothing is older than ttl + grace.
Rule 6: `max_unsynced` after the tier went away, and until it is back, no answer comes from L1 at all, old or not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from cacheaside.demo.history import Commit, From, Served

__all__ = ["Allowance", "Excuse", "Outage", "Promises"]

_BY_WHAT_WAS_HEARD: Final[frozenset[From]] = frozenset(("l1", "joined"))
"""Answers that may rest on what a process has heard, and not on what the tier says in that very read."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an endpoint's contract allows, in seconds."""

    after_invalidation_s: float
    bound_s: float


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which the shared tier answered nothing.

    began_at: from then on at the latest. returned_at: until then at least. emptied: it lost all it held.
    """

    began_at: float
    emptied: bool
    returned_at: float = math.inf

    def covers(self, one: Served, max_unsynced_s: float) -> bool:
        """Whether all of the response lies in the part of it in which L1 must be silent."""
        return self.began_at + max_unsynced_s < one.started_at and one.ended_at < self.returned_at

    def shuts_out(self, commit: Commit, one: Served, max_unsynced_s: float) -> bool:
        """Whether no value from before `commit` can be come by any more (rule 4)."""
        # Done, and not only committed: the moment of a commit is noted just before it, and a load may slip in between.
        if commit.done_at is None or commit.done_at >= self.returned_at:
            return False
        if self.emptied:
            return self.began_at + max_unsynced_s < one.started_at
        return self.covers(one, max_unsynced_s)


class Excuse(Enum):
    """Why a response may miss a change."""

    UNDER_WAY = auto()
    """It was not done when the request started."""
    CONTRACT = auto()
    """The contract's stale_after_invalidation allows it."""
    BEHIND = auto()
    """The process had not heard of it yet, and it was acknowledged no longer ago than `max_unsynced`."""
    OWED = auto()
    """The tier had not acknowledged it yet."""


@dataclass(frozen=True, slots=True)
class Promises:
    """What is promised of every endpoint, by its name, and how the tier fared meanwhile."""

    allowances: Mapping[str, Allowance]
    max_unsynced_s: float = 0.0
    outages: Sequence[Outage] = ()

    def excuse(self, commit: Commit, one: Served) -> Excuse | None:
        """Why `one` may miss `commit`, which was there when it ended; None when it may not."""
        allowance = self.allowances[one.endpoint]
        started_at = one.started_at
        if started_at - commit.committed_at > allowance.bound_s:
            return None
        if commit.done_at is None or started_at <= commit.done_at:
            return Excuse.UNDER_WAY
        if started_at - commit.done_at <= allowance.after_invalidation_s:
            return Excuse.CONTRACT
        if one.process == commit.process:
            return None
        if commit.acknowledged_at is None or started_at <= commit.acknowledged_at:
            shut_out = any(outage.shuts_out(commit, one, self.max_unsynced_s) for outage in self.outages)
            return None if shut_out else Excuse.OWED
        heard_late = started_at - commit.acknowledged_at <= self.max_unsynced_s
        return Excuse.BEHIND if heard_late and one.source in _BY_WHAT_WAS_HEARD else None

    def speaks_alone(self, one: Served) -> bool:
        """Whether L1 answered when it had to be silent (rule 6)."""
        return one.source == "l1" and any(outage.covers(one, self.max_unsynced_s) for outage in self.outages)
