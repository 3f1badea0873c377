"""Was a response older than it may be? Every response is compared with what the database was told when. Pure.

Rule 1: a version is superseded when a later version of its row was committed before the request started. A list also
        misses a row that was in its range by then, and stayed there.
Rule 2: a response that misses a change which was done by then is *stale*. It is *beyond the contract* when nothing in
        `promises` allows it.
Rule 3: a version that no commit made, or that was committed only after the response ended, means that the history is
        wrong, and no verdict can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cacheaside.demo.history import Commit, History, Range, Served, Written
from cacheaside.demo.promises import Excuse, Promises

__all__ = ["Findings", "check"]

_EXAMPLES: Final = 5
_COUNTS: Final = ("checked", "versions", "stale", "beyond", "own", "behind", "owed", "in_commit", "alone")


@dataclass(slots=True)
class Findings:
    """The verdict over many responses: `stale` by rule 2, of them `beyond`, and the others by what allowed them.

    own: of those beyond, by a process that had made the change itself.
    behind, behind_s: L1 of another process had not heard of the change; how long ago it was acknowledged, at most.
    owed, owed_s: the tier had not acknowledged it; how long ago it was done, at most.
    in_commit: showed a version that was superseded by a change still under way: allowed, and not stale.
    oldest_s: how long before its request a missed change was done, at most, over `stale`.
    alone: answered from L1 when L1 had to be silent. impossible: broke rule 3. examples: the first few in words.
    """

    checked: int = 0
    versions: int = 0
    stale: int = 0
    beyond: int = 0
    own: int = 0
    behind: int = 0
    behind_s: float = 0.0
    owed: int = 0
    owed_s: float = 0.0
    in_commit: int = 0
    alone: int = 0
    impossible: int = 0
    oldest_s: float = 0.0
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep `text` as an example while there are few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(text)

    def add(self, other: Findings) -> None:
        """Take in the findings over other responses."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.impossible += other.impossible
        self.behind_s = max(self.behind_s, other.behind_s)
        self.owed_s = max(self.owed_s, other.owed_s)
        self.oldest_s = max(self.oldest_s, other.oldest_s)
        for text in other.examples:
            self.note(text)


def check(
    history: History, served: Iterable[Served], promises: Promises, so_far: Findings | None = None
) -> Findings:
    """Judge every response by the rules at the top of this file, adding to the findings `so_far`."""
    findings = so_far or Findings()
    for one in served:
        if promises.speaks_alone(one):
            findings.alone += 1
            findings.note(
                f"{one.endpoint}: {_whence(one)} while the shared tier was away, too late to vouch for it"
            )
        if one.versions or one.range is not None:
            findings.checked += 1
            findings.versions += len(one.versions)
            _judge(history, one, promises, findings)
    return findings


def _judge(history: History, one: Served, promises: Promises, findings: Findings) -> None:
    if wrong := next((pair for pair in one.versions if not _possible(history, pair, one.ended_at)), None):
        findings.impossible += 1
        findings.note(f"{one.endpoint}: version {wrong[1]} of flight {wrong[0]} before it was committed")
    later = [
        w for pair in one.versions for w in history.after(*pair) if w.commit.committed_at < one.started_at
    ]

    def done(commit: Commit) -> bool:
        return promises.excuse(commit, one) is not Excuse.UNDER_WAY

    def inexcusable(commit: Commit) -> bool:
        return promises.excuse(commit, one) is None

    if missed := _missed(history, one, later, done):
        too_late = _missed(history, one, later, inexcusable)
        _note_stale(one, missed, too_late, promises, findings)
    elif later:
        findings.in_commit += 1


def _missed(
    history: History, one: Served, later: Sequence[Written], counts: Callable[[Commit], bool]
) -> list[Written]:
    """Of the writes that the response does not show, those whose commits count."""
    missed = [w for w in later if counts(w.commit)]
    if one.range is not None:
        missed += _lacking(history, one, one.range, counts)
    return missed


def _note_stale(
    one: Served,
    missed: Sequence[Written],
    too_late: Sequence[Written],
    promises: Promises,
    findings: Findings,
) -> None:
    findings.stale += 1
    findings.oldest_s = max(findings.oldest_s, *(_age_s(one, w.commit) for w in missed))
    if too_late:
        findings.beyond += 1
        findings.own += any(w.commit.process == one.process for w in too_late)
        first = min(too_late, key=lambda w: w.commit.committed_at)
        findings.note(f"{one.endpoint}: {_whence(one)}, not yet {_words(first)}, {_when(one, first.commit)}")
        return
    excuses = [(promises.excuse(w.commit, one), w.commit) for w in missed]
    if owed := [_age_s(one, commit) for excuse, commit in excuses if excuse is Excuse.OWED]:
        findings.owed += 1
        findings.owed_s = max(findings.owed_s, *owed)
    elif behind := [_heard_late_s(one, commit) for excuse, commit in excuses if excuse is Excuse.BEHIND]:
        findings.behind += 1
        findings.behind_s = max(findings.behind_s, *behind)


def _lacking(
    history: History, one: Served, wanted: Range, counts: Callable[[Commit], bool]
) -> Iterator[Written]:
    """Writes that count, that brought a flight into the range to stay there, and that the response lacks."""
    shown = {flight_id for flight_id, _ in one.versions}

    def due(write: Written) -> bool:
        return write.commit.committed_at < one.started_at and counts(write.commit)

    for flight_id in history.ever_in(wanted):
        if flight_id in shown:
            continue
        writes = history.writes(flight_id)
        last = _last(writes, due)
        if last is None:
            continue
        visible = [w for w in writes[last:] if w.commit.committed_at <= one.ended_at]
        # In the range by every version that the response may have been built from: then it had to be there.
        if all(_in(w, wanted) for w in visible):
            outside = _last(writes[:last], lambda w: not _in(w, wanted))
            since_then = writes[0 if outside is None else outside + 1 : last + 1]
            yield next(w for w in since_then if due(w))


def _last(writes: Sequence[Written], is_it: Callable[[Written], bool]) -> int | None:
    return next((index for index in range(len(writes) - 1, -1, -1) if is_it(writes[index])), None)


def _possible(history: History, pair: tuple[int, int], ended_at: float) -> bool:
    flight_id, version = pair
    writes = history.writes(flight_id)
    if version == 1:
        return True
    return 1 < version <= len(writes) + 1 and writes[version - 2].commit.committed_at <= ended_at


def _in(write: Written, wanted: Range) -> bool:
    return write.origin == wanted.origin and wanted.since <= write.expected_dep < wanted.until


def _age_s(one: Served, commit: Commit) -> float:
    """For how long the change had been done when the request started; since its commit, if it never was."""
    return one.started_at - (commit.committed_at if commit.done_at is None else commit.done_at)


def _heard_late_s(one: Served, commit: Commit) -> float:
    """How long before the request the change had been acknowledged."""
    assert commit.acknowledged_at is not None, "what was not acknowledged is owed"
    return one.started_at - commit.acknowledged_at


def _words(write: Written) -> str:
    return f"version {write.version} of flight {write.flight_id}"


def _whence(one: Served) -> str:
    return f"process {one.process} answered from {_SOURCES[one.source]}"


_SOURCES: Final = {
    "l1": "L1",
    "l2": "the shared tier",
    "joined": "a load it joined",
    "source": "the database",
}


def _when(one: Served, commit: Commit) -> str:
    if commit.done_at is None:
        return f"committed {one.started_at - commit.committed_at:.1f} s before the request, and never done"
    told = "not acknowledged"
    if commit.acknowledged_at is not None:
        after_s = commit.acknowledged_at - one.started_at
        told = f"acknowledged {abs(after_s) * 1e3:.1f} ms {'after it began' if after_s > 0 else 'before it'}"
    return f"done by process {commit.process} {_age_s(one, commit) * 1e3:.1f} ms before the request, {told}"
