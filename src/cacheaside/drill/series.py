"""What happened, as data: answers and readings of the source, put into windows of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Final, Literal

import msgspec

__all__ = [
    "ANSWERS_MAX",
    "Answer",
    "How",
    "Point",
    "Reading",
    "Record",
    "Span",
    "points",
    "quantile",
    "waits_ms",
]

ANSWERS_MAX: Final = 2_000_000
"""How many answers a record keeps; more are counted as `dropped`."""

TOLD_LATE_S: Final = 1.0
"""By how much answers may be told out of their order."""

How = Literal["l1", "l2", "source", "joined", "unknown", "refused", "late", "failed"]
"""How a request ended. l1, l2: a hit. source, joined: by a load of its own, or of another read. unknown: answered, the
service does not say how. refused: `Overloaded`, with a time to retry after. late: the caller's patience ended. failed:
anything else."""

HITS: Final = ("l1", "l2")
ANSWERED: Final = ("l1", "l2", "source", "joined", "unknown")


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """One request, its repetitions included. Moments on the monotonic clock of the machine, in seconds.

    key: which thing, where it is known. stale: older than its contract allows.
    """

    started_at: float
    ended_at: float
    how: How
    key: int | None = None
    stale: bool = False
    tries: int = 1

    @property
    def answered(self) -> bool:
        """Whether it was given what it asked for."""
        return self.how in ANSWERED


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What the source says of itself. running: queries at once, the most since the last reading. done: so far."""

    at: float
    running: int
    done: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in seconds."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.ended - self.began


@dataclass(slots=True)
class Record:
    """Everything that was told, in the order it came."""

    answers: list[Answer] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    came: list[tuple[float, int]] = field(default_factory=list)
    """How many requests had come by when, answered or not: who still waits is in no answer."""
    dropped: int = 0

    def add(self, answers: Iterable[Answer]) -> None:
        """Keep some more, as far as there is room."""
        for answer in answers:
            if len(self.answers) < ANSWERS_MAX:
                self.answers.append(answer)
            else:
                self.dropped += 1

    def between(self, began: float, ended: float) -> list[Answer]:
        """The answers that ended then."""
        return [one for one in self.answers if began <= one.ended_at < ended]

    def latest(self, since: float) -> list[Answer]:
        """The answers that were told of last and ended after `since`."""
        found = []
        for one in reversed(self.answers):
            if one.ended_at < since - TOLD_LATE_S:
                break
            if one.ended_at >= since:
                found.append(one)
        return found

    def latest_readings(self, since: float) -> list[Reading]:
        """The readings after `since`."""
        found = []
        for one in reversed(self.readings):
            if one.at < since:
                break
            found.append(one)
        return found


@dataclass(frozen=True, slots=True)
class Point:
    """One window of a run, `at` seconds after its beginning. Rates are per second; None: nothing to tell it by.

    p50_ms, p99_ms: of `waits_ms`.
    """

    at: float
    asked: float
    answered: float
    refused: float
    late: float
    failed: float
    stale: int
    hits: float | None
    p50_ms: float | None
    p99_ms: float | None
    running: int | None
    queries: float | None


def points(record: Record, began: float, ended: float, window_s: float) -> list[Point]:
    """The run in windows, by the moments when requests ended; the last one is whole."""
    number = max(0, int((ended - began) / window_s))
    answers: list[list[Answer]] = [[] for _ in range(number)]
    for one in record.answers:
        if 0 <= (place := int((one.ended_at - began) // window_s)) < number:
            answers[place].append(one)
    asked = _rates(record.came, began, window_s, number)
    queries = _rates([(one.at, one.done) for one in record.readings], began, window_s, number)
    running = _running(record.readings, began, window_s, number)
    return [
        _point(
            place * window_s, answers[place], asked[place] or 0.0, running[place], queries[place], window_s
        )
        for place in range(number)
    ]


def _point(
    at: float,
    answers: Sequence[Answer],
    asked: float,
    running: int | None,
    queries: float | None,
    window_s: float,
) -> Point:
    times = waits_ms(answers)
    hits = sum(one.how in HITS for one in answers)

    def rate(how: How) -> float:
        return sum(one.how == how for one in answers) / window_s

    return Point(
        at=at,
        asked=asked,
        answered=sum(one.answered for one in answers) / window_s,
        refused=rate("refused"),
        late=rate("late"),
        failed=rate("failed"),
        stale=sum(one.stale for one in answers),
        hits=hits / len(answers) if answers else None,
        p50_ms=quantile(times, 0.5),
        p99_ms=quantile(times, 0.99),
        running=running,
        queries=queries,
    )


def _rates(
    counted: Sequence[tuple[float, int]], began: float, window_s: float, number: int
) -> list[float | None]:
    """What a counter grew by a second, in each window; between two readings it counts as having grown evenly. None
    where it was not read."""
    grown: list[float | None] = [None] * number
    for (at, count), (then, more) in pairwise(counted):
        rate = (more - count) / max(then - at, 1e-9)
        for place in range(
            max(0, int((at - began) // window_s)), min(number, int((then - began) // window_s) + 1)
        ):
            opens = began + place * window_s
            overlap_s = max(0.0, min(then, opens + window_s) - max(at, opens))
            grown[place] = (grown[place] or 0.0) + rate * overlap_s / window_s
    return grown


def _running(readings: Sequence[Reading], began: float, window_s: float, number: int) -> list[int | None]:
    """The most at once in each window. A reading tells of the time since the one before."""
    running: list[int | None] = [None] * number
    for before, after in pairwise(readings):
        first, last = int((before.at - began) // window_s), int((after.at - began) // window_s)
        for place in range(max(0, first), min(number, last + 1)):
            running[place] = max(running[place] or 0, after.running)
    return running


def waits_ms(answers: Iterable[Answer]) -> list[float]:
    """How long callers waited until they were answered or gave up, in order. Those who were refused did not wait; to
    leave out those who gave up would have the times look best when nobody is answered."""
    return sorted((one.ended_at - one.started_at) * 1e3 for one in answers if one.how != "refused")


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed (nearest rank); None of none."""
    if not ordered:
        return None
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
