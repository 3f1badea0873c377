"""What happened, as data: answers and readings of the source, put into windows of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final, Literal

import msgspec

__all__ = ["ANSWERS_MAX", "Answer", "How", "Point", "Reading", "Record", "Span", "points", "quantile", "waits_ms"]

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

    def read_between(self, began: float, ended: float) -> list[Reading]:
        """The readings of then."""
        return [one for one in self.readings if began <= one.at < ended]


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
    asked = [0] * number
    for one in record.answers:
        if 0 <= (place := int((one.ended_at - began) // window_s)) < number:
            answers[place].append(one)
        if 0 <= (place := int((one.started_at - began) // window_s)) < number:
            asked[place] += 1
    queries, running = _source(record.readings, began, window_s, number)
    return [
        _point(place * window_s, answers[place], asked[place], running[place], queries[place], window_s)
        for place in range(number)
    ]


def _point(
    at: float,
    answers: Sequence[Answer],
    asked: int,
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
        asked=asked / window_s,
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


def _source(
    readings: Sequence[Reading], began: float, window_s: float, number: int
) -> tuple[list[float | None], list[int | None]]:
    """Queries a second, and the most at once, in each window; what was done between two readings counts as even."""
    done = [0.0] * number
    known = [False] * number
    running: list[int | None] = [None] * number
    for before, after in zip(readings, readings[1:], strict=False):
        rate = (after.done - before.done) / max(after.at - before.at, 1e-9)
        first, last = int((before.at - began) // window_s), int((after.at - began) // window_s)
        for place in range(max(0, first), min(number, last + 1)):
            opens = began + place * window_s
            overlap = min(after.at, opens + window_s) - max(before.at, opens)
            done[place] += rate * max(0.0, overlap)
            known[place] = True
            running[place] = max(running[place] or 0, after.running)
    return [count / window_s if is_known else None for count, is_known in zip(done, known, strict=True)], running


def waits_ms(answers: Iterable[Answer]) -> list[float]:
    """How long callers waited until they were answered or gave up, in order. Those who were refused did not wait; to
    leave out those who gave up would have the times look best when nobody is answered."""
    return sorted((one.ended_at - one.started_at) * 1e3 for one in answers if one.how != "refused")


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed (nearest rank); None of none."""
    if not ordered:
        return None
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
