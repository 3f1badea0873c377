"""Was a response older than it may be? Decided by comparing it with what the database wrote when. Pure.

Rule 1: a version is superseded when a later version of its row was committed. A response may still show it to
        a request that started before the writer was told that its change is done: the *acknowledgement*.
Rule 2: a response that shows a version superseded by a change acknowledged before the request started is a
        *stale serve*. So is a list that lacks a row which was in its range by then, and stayed there.
Rule 3: a stale serve is *beyond the contract* when the acknowledgement was longer ago than
        `stale_after_invalidation`. A change that was never acknowledged is bounded by ttl + grace instead,
        counted from its commit.
Rule 4: a version that no commit made, or that was committed only after the response ended, means that the
        history is wrong, and no verdict can be trusted.

All moments are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from msgspec import Struct

__all__ = ["Allowance", "Findings", "History", "Range", "Served", "Written", "check"]


@dataclass(frozen=True, slots=True)
class Written:
    """One row version, made by one commit. `acknowledged_at` is None when the acknowledgement never came."""

    flight_id: int
    version: int
    origin: str
    expected_dep: int
    committed_at: float
    acknowledged_at: float | None


class Range(Struct, frozen=True, array_like=True):
    """What a list claims to be complete for: flights from `origin` expected to leave in `[since, until)`."""

    origin: str
    since: int
    until: int


class Served(Struct, frozen=True, array_like=True):
    """One response: when its request started, when it had arrived, and what it was built from."""

    endpoint: str
    started_at: float
    ended_at: float
    versions: tuple[tuple[int, int], ...]
    range: Range | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an endpoint's contract allows, in seconds."""

    after_acknowledged_s: float
    unacknowledged_s: float


@dataclass(slots=True)
class Findings:
    """The verdict over many responses. `stale` counts those of rule 2, `beyond` those of rule 3.

    in_commit: showed a version that was superseded by a commit still waiting for its acknowledgement:
    allowed.
    oldest_s: how long before its request a superseding change had been acknowledged, at most, over `stale`.
    impossible: broke rule 4. examples: the first few findings in words.
    """

    checked: int = 0
    versions: int = 0
    stale: int = 0
    beyond: int = 0
    in_commit: int = 0
    impossible: int = 0
    oldest_s: float = 0.0
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep `text` as an example while there are few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(text)


_EXAMPLES: Final = 5
_HOUR_S: Final = 3600


class History:
    """All row versions by flight. Version 1 is the row as it was built; each commit makes the next one.

    A ValueError says that a version is missing between two others, or was committed before its predecessor.
    """

    def __init__(self, written: Iterable[Written] = ()) -> None:
        self._by_flight: defaultdict[int, list[Written]] = defaultdict(list)
        self._by_hour: defaultdict[tuple[str, int], dict[int, None]] = defaultdict(dict)
        for one in sorted(written, key=lambda one: (one.flight_id, one.version)):
            self.add(one)

    def add(self, one: Written) -> None:
        """Append the next version of a flight."""
        earlier = self._by_flight[one.flight_id]
        _require_next(one, earlier)
        earlier.append(one)
        self._by_hour[one.origin, one.expected_dep // _HOUR_S][one.flight_id] = None

    def writes(self, flight_id: int) -> Sequence[Written]:
        """All writes of a flight, in order; the first made version 2."""
        return self._by_flight.get(flight_id, ())

    def after(self, flight_id: int, version: int) -> Sequence[Written]:
        """The writes that came after this version, in order."""
        return self.writes(flight_id)[version - 1 :]

    def ever_in(self, wanted: Range) -> Iterator[int]:
        """Flights that some write put into the range."""
        hours = range(wanted.since // _HOUR_S, (wanted.until - 1) // _HOUR_S + 1)
        return iter(
            dict.fromkeys(chain.from_iterable(self._by_hour.get((wanted.origin, h), ()) for h in hours))
        )


def check(
    history: History,
    served: Iterable[Served],
    allowances: Mapping[str, Allowance],
    so_far: Findings | None = None,
) -> Findings:
    """Judge every response by the rules at the top of this file, adding to the findings `so_far`.

    `allowances` is by endpoint.
    """
    findings = so_far or Findings()
    for one in served:
        findings.checked += 1
        findings.versions += len(one.versions)
        _judge(history, one, allowances[one.endpoint], findings)
    return findings


def _judge(history: History, one: Served, allowance: Allowance, findings: Findings) -> None:
    if wrong := next((pair for pair in one.versions if not _possible(history, pair, one.ended_at)), None):
        findings.impossible += 1
        findings.note(f"{one.endpoint}: version {wrong[1]} of flight {wrong[0]} before it was committed")
    later = [w for pair in one.versions for w in history.after(*pair) if w.committed_at < one.started_at]
    unseen = [w for w in later if _acknowledged_by(w, one.started_at)]
    if one.range is not None:
        unseen += _missing(history, one, one.range)
    if unseen:
        _note_stale(one, unseen, allowance, findings)
    elif later:
        _note_in_commit(one, later, allowance, findings)


def _note_stale(one: Served, unseen: Sequence[Written], allowance: Allowance, findings: Findings) -> None:
    first = min(unseen, key=_acknowledged_at)
    age_s = one.started_at - _acknowledged_at(first)
    findings.stale += 1
    findings.oldest_s = max(findings.oldest_s, age_s)
    if age_s > allowance.after_acknowledged_s:
        findings.beyond += 1
    findings.note(
        f"{one.endpoint}: not yet {_words(first)}, acknowledged {age_s * 1e3:.1f} ms before the request"
    )


def _note_in_commit(one: Served, later: Sequence[Written], allowance: Allowance, findings: Findings) -> None:
    findings.in_commit += 1
    first = min(later, key=lambda w: w.committed_at)
    age_s = one.started_at - first.committed_at
    if age_s > allowance.unacknowledged_s:
        findings.beyond += 1
        findings.note(
            f"{one.endpoint}: not yet {_words(first)}, committed {age_s:.1f} s before and not acknowledged"
        )


def _missing(history: History, one: Served, wanted: Range) -> Iterator[Written]:
    """Acknowledged writes that brought a flight into the range to stay there, and that the response lacks."""
    shown = {flight_id for flight_id, _ in one.versions}
    for flight_id in history.ever_in(wanted):
        if flight_id in shown:
            continue
        writes = history.writes(flight_id)
        last = _last(writes, lambda w: _acknowledged_by(w, one.started_at))
        if last is None:
            continue
        visible = [w for w in writes[last:] if w.committed_at <= one.ended_at]
        # In the range by every version that the response may have been built from: then it had to be there.
        if all(_in(w, wanted) for w in visible):
            outside = _last(writes[:last], lambda w: not _in(w, wanted))
            since_then = writes[0 if outside is None else outside + 1 : last + 1]
            yield next(w for w in since_then if w.acknowledged_at is not None)


def _last(writes: Sequence[Written], is_it: Callable[[Written], bool]) -> int | None:
    return next((index for index in range(len(writes) - 1, -1, -1) if is_it(writes[index])), None)


def _acknowledged_at(write: Written) -> float:
    assert write.acknowledged_at is not None
    return write.acknowledged_at


def _possible(history: History, pair: tuple[int, int], ended_at: float) -> bool:
    flight_id, version = pair
    writes = history.writes(flight_id)
    return version == 1 or (1 < version <= len(writes) + 1 and writes[version - 2].committed_at <= ended_at)


def _acknowledged_by(write: Written, moment: float) -> bool:
    return write.acknowledged_at is not None and write.acknowledged_at < moment


def _in(write: Written, wanted: Range) -> bool:
    return write.origin == wanted.origin and wanted.since <= write.expected_dep < wanted.until


def _words(write: Written) -> str:
    return f"version {write.version} of flight {write.flight_id}"


def _require_next(one: Written, earlier: Sequence[Written]) -> None:
    if one.version != len(earlier) + 2:
        raise ValueError(
            f"history of flight {one.flight_id} jumps to version {one.version} after {len(earlier) + 1}"
        )
    if earlier and one.committed_at < earlier[-1].committed_at:
        raise ValueError(
            f"version {one.version} of flight {one.flight_id} was committed before its predecessor"
        )
