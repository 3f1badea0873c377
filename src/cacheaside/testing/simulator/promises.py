"""What has been promised to reads: by which moment which of them may no longer see a version older than which.

Who reads through the shared tier is promised what was acknowledged before the read began (G1). Who is answered by L1 is
promised what was acknowledged `max_unsynced_s` ago, and what was acknowledged in its own process (G2); so is everybody,
for what was said of the whole namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from cacheaside.testing.simulator.scheduler import Clock

__all__ = ["Promise", "Promises", "Ticket", "Versions"]

EPSILON_S: Final = 1e-9
Versions = dict[int, int]


class Promise:
    """Who begins to read at `at` or later gets `versions` or newer ones; L1 of other processes from `heard_by` on.

    by: the process that wrote. namespace: it was said of the whole namespace. here_only: not acknowledged when it was
    made, so that only its own process knows. number: the latest of the server's changes that it stands on, if it stands
    on one. void: withdrawn.
    """

    __slots__ = ("at", "by", "heard_by", "here_only", "namespace", "number", "versions", "void")

    def __init__(
        self,
        versions: Versions,
        by: int,
        at: float,
        heard_by: float,
        number: int,
        *,
        namespace: bool,
        here_only: bool,
    ) -> None:
        self.versions = versions
        self.by = by
        self.at = at
        self.heard_by = heard_by
        self.number = number
        self.namespace = namespace
        self.here_only = here_only
        self.void = False

    def __repr__(self) -> str:
        # No address of an object: traces of the same schedule are the same.
        return f"promise of {self.versions} by {self.by}"


class Ticket(NamedTuple):
    """What a read may count on, taken when it begins: so many promises had been made; the time; and of how many changes
    of primaries its process knew."""

    process: int
    made: int
    at: float
    known: int


class Promises:
    """All of one schedule."""

    def __init__(self, clock: Clock, things: int, processes: int = 1, max_unsynced_s: float = 0.0) -> None:
        self._clock = clock
        self._things = things
        self._made: list[Promise] = []
        self._max_unsynced_s = max_unsynced_s
        self._lost: list[tuple[int, int]] = []
        self._marks_lost: dict[int, float] = {}
        self.known = [0] * processes
        """Of how many changes of primaries each process knows."""
        self.identity_counts = True
        """Whether a process that knows of one distrusts what was stored before it."""

    def make(
        self,
        versions: Versions,
        by: int = 0,
        *,
        at: float | None = None,
        number: int = 0,
        namespace: bool = False,
        here_only: bool = False,
    ) -> Promise:
        """A write was acknowledged now, or is promised to count from `at` on."""
        now = self._clock.time
        at = now if at is None else at
        heard_by = max(at, now + self._max_unsynced_s) + EPSILON_S
        promise = Promise(versions, by, at, heard_by, number, namespace=namespace, here_only=here_only)
        self._made.append(promise)
        return promise

    def mark_lost(self, thing: int) -> None:
        """The server lost a mark of it before its time: what rests on that alone is not promised any more."""
        now = self._marks_lost[thing] = self._clock.time
        for promise in self._made:
            if promise.at > now and thing in promise.versions:
                promise.void = True

    def lost_since(self, since: float, things: Iterable[int]) -> bool:
        """Whether the server lost a mark of one of `things` since then."""
        return any(self._marks_lost.get(thing, -1.0) >= since for thing in things)

    def changes_lost(self, after: int, through: int) -> None:
        """Another primary lacks these changes."""
        self._lost.append((after, through))
        now = self._clock.time
        for promise in self._made:
            if promise.at > now and after < promise.number <= through:
                promise.void = True

    def ticket(self, process: int) -> Ticket:
        """For a read that begins now."""
        return Ticket(process, len(self._made), self._clock.time, self.known[process])

    def floor(self, ticket: Ticket, *, near: bool, vouched: bool) -> tuple[int, ...]:
        """The oldest version of each thing that the read may return.

        near: it is answered by L1. vouched: what it is answered with is said to be valid, not merely within grace.
        """
        floor = [0] * self._things
        process, made, at, known = ticket
        for promise in self._made[:made]:
            if promise.void or promise.at > at:
                continue
            if promise.by != process and (
                promise.here_only or ((near or promise.namespace) and at <= promise.heard_by)
            ):
                continue
            if self._lost and not self._stands(promise, known, vouched=vouched):
                continue
            for thing, version in promise.versions.items():
                if version > floor[thing]:
                    floor[thing] = version
        return tuple(floor)

    def _stands(self, promise: Promise, known: int, *, vouched: bool) -> bool:
        """Whether it can be asked for although primaries changed: what one of them lacks, nobody can know of who does
        not know of the change; who does distrusts what was stored before."""
        if not promise.number:
            return True
        for term, (after, through) in enumerate(self._lost, 1):
            if after < promise.number <= through and not (self.identity_counts and vouched and term <= known):
                return False
        return True
