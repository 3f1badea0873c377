"""From what was heard to what is to be thought of it: figures, recovery, findings, verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cacheaside.drill.drills import Drill, budget_of, steps_of
from cacheaside.drill.report import Comparison, Figures, Finding, Report, Verdict
from cacheaside.drill.series import HITS, Point, Record, points, quantile, waits_ms
from cacheaside.drill.settings import Settings

__all__ = ["AS_BEFORE", "HOLD_S", "WINDOW_S", "Told", "compared", "judged", "recovered_at"]

WINDOW_S: Final = 0.25
AS_BEFORE: Final = 0.9
"""What share of the hits before the fault counts as recovered."""
ANSWERED: Final = 0.99
"""What share of requests has to be answered for that."""
CAME: Final = 0.8
"""How many must have been answered of those who came in the same time: the rest may be on its way."""
HOLD_S: Final = 1.0
"""How long it has to stay so."""
GOODPUT: Final = 0.9
"""What share of its capacity a source has to be used at, while more is wanted of it."""
_TRANSIENT: Final = 2
"""Windows at each end of a cold span that do not count for goodput: it begins and ends within them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One run, as it was told. Moments on the clock of the record.

    evidence: what shows that the fault happened; happened: whether it does. changes: rows changed. limit: of loads,
    over all processes. waiting_peak: loads that waited in one process, at most; waiting_max: its bound.
    """

    record: Record
    began: float
    fault_began: float
    fault_ended: float
    ended: float
    target: str
    namespace: str
    happened: bool
    evidence: Sequence[str]
    aborted: str | None = None
    changes: int = 0
    capacity_running: int | None = None
    capacity_queries: float | None = None
    limit: int | None = None
    waiting_peak: int | None = None
    waiting_max: int | None = None
    setting: dict[str, str] = field(default_factory=dict[str, str])


def figures(record: Record, began: float, ended: float, of: Sequence[Point]) -> Figures:
    """One phase. of: the windows in it."""
    answers = record.between(began, ended)
    seconds = max(ended - began, 1e-9)
    times = waits_ms(answers)
    number = max(1, len(answers))
    queries = [point.queries for point in of if point.queries is not None]
    running = [point.running for point in of if point.running is not None]
    return Figures(
        seconds=ended - began,
        asked=len(answers) / seconds,
        answered=sum(one.answered for one in answers) / seconds,
        hits=sum(one.how in HITS for one in answers) / number if answers else None,
        refused=sum(one.how == "refused" for one in answers) / number,
        errors=sum(one.how in ("failed", "late") for one in answers) / number,
        p50_ms=quantile(times, 0.5),
        p99_ms=quantile(times, 0.99),
        running=max(running, default=None),
        queries=sum(queries) / len(queries) if queries else None,
    )


def recovered_at(windows: Sequence[Point], since: float, hits_before: float | None) -> float | None:
    """The beginning of the first `HOLD_S` after `since` in which nearly all who asked were answered, and as many as
    before were hits; None when that was not seen. Moments in the time of the windows."""
    hold = round(HOLD_S / WINDOW_S)
    for place in range(len(windows) - hold + 1):
        held = windows[place : place + hold]
        if held[0].at > since - WINDOW_S and _as_before(held, hits_before):
            return max(since, held[0].at)
    return None


def _as_before(held: Sequence[Point], hits_before: float | None) -> bool:
    """Whether all is well in these windows. Those who asked and still wait have not ended: right after a fault only
    the lucky have, so that requests are compared with those that came, too."""
    ended = [point.answered + point.refused + point.late + point.failed for point in held]
    answered = sum(point.answered for point in held)
    if (
        not answered
        or answered < ANSWERED * sum(ended)
        or answered < CAME * sum(point.asked for point in held)
    ):
        return False
    hits = sum((point.hits or 0.0) * number for point, number in zip(held, ended, strict=True))
    return hits_before is None or hits >= AS_BEFORE * hits_before * sum(ended)


def judged(drill: Drill, settings: Settings, told: Told) -> Report:
    """The report of one run."""
    windows = points(told.record, told.began, told.ended, WINDOW_S)
    began, ended = told.fault_began - told.began, told.fault_ended - told.began
    before = figures(
        told.record, told.began, told.fault_began, [p for p in windows if p.at + WINDOW_S <= began]
    )
    known = before.hits if any(one.how in (*HITS, "source") for one in told.record.answers[:1000]) else None
    at = None if told.aborted else recovered_at(windows, ended, known)
    cold_until = told.began + (windows[-1].at + WINDOW_S if at is None and windows else at or ended)
    keys = {one.key for one in told.record.between(told.began, told.fault_began) if one.key is not None}
    hot_keys = len(keys) or None
    per_s = told.capacity_queries
    since = [p for p in windows if p.at + WINDOW_S > began]
    report = Report(
        drill=drill.name,
        title=drill.title,
        target=told.target,
        namespace=told.namespace,
        steps=steps_of(drill, settings, target=told.target, namespace=told.namespace),
        setting=told.setting,
        window_s=WINDOW_S,
        points=windows,
        fault_began=began,
        fault_ended=ended,
        recovered_at=at,
        recovery_s=None if at is None else at - ended,
        ideal_s=hot_keys / per_s if drill.cold and hot_keys and per_s else None,
        budget_s=budget_of(drill, hot_keys or 0, per_s),
        hot_keys=hot_keys,
        capacity_running=told.capacity_running,
        capacity_queries=per_s,
        limit=told.limit,
        peak_running=max((p.running for p in since if p.running is not None), default=None),
        peak_queries=max((p.queries for p in since if p.queries is not None), default=None),
        peak_p99_ms=max((p.p99_ms for p in since if p.p99_ms is not None), default=None),
        stale=sum(one.stale for one in told.record.answers),
        requests=len(told.record.answers),
        changes=told.changes,
        before=before,
        during=figures(
            told.record,
            told.fault_began,
            max(cold_until, told.fault_ended),
            _within(windows, began, cold_until - told.began),
        ),
        after=figures(told.record, cold_until, told.ended, _within(windows, cold_until - told.began, 1e12)),
        evidence=list(told.evidence),
        aborted=told.aborted,
        findings=[],
        verdict="held",
    )
    findings = _findings(drill, told, report)
    return _with(report, findings, _verdict(told, findings))


def _within(windows: Sequence[Point], began: float, ended: float) -> list[Point]:
    return [point for point in windows if began <= point.at < ended]


def _with(report: Report, findings: list[Finding], verdict: Verdict) -> Report:
    return replace(report, findings=findings, verdict=verdict)


def _verdict(told: Told, findings: Sequence[Finding]) -> Verdict:
    if told.aborted:
        return "aborted"
    if not told.happened:
        return "not shown"
    return "broken" if any(finding.held is False for finding in findings) else "held"


def _findings(drill: Drill, told: Told, report: Report) -> list[Finding]:
    found = [
        Finding(
            rule="the fault happened", held=told.happened, why="; ".join(told.evidence) or "nothing shows it"
        ),
        _concurrency(report),
        _queue(told),
        *_goodput(drill, report),
        _recovery(report),
        _errors(report),
        Finding(
            rule="no answer is older than its contract allows",
            held=report.stale == 0,
            why=f"{report.stale:,} of {report.requests:,} answers were, with {report.changes:,} rows changed meanwhile",
        ),
    ]
    return [finding for finding in found if finding is not None]


def _concurrency(report: Report) -> Finding:
    bound = report.limit if report.limit is not None else report.capacity_running
    if bound is None or report.peak_running is None:
        return Finding(
            rule="the source is asked no more at once than it takes", held=None, why="it is not known"
        )
    return Finding(
        rule="the source is asked no more at once than it takes",
        held=report.peak_running <= bound,
        why=f"at most {report.peak_running} queries ran at once; {bound} are what it takes",
    )


def _queue(told: Told) -> Finding | None:
    if told.waiting_peak is None or told.waiting_max is None:
        return None
    return Finding(
        rule="the queue for the source stays within its bound",
        held=told.waiting_peak <= told.waiting_max,
        why=f"at most {told.waiting_peak} loads waited in one process; its bound is {told.waiting_max}",
    )


def _goodput(drill: Drill, report: Report) -> list[Finding]:
    """While more is wanted than the source can give, it gives what it can, and to callers who are still there: a queue
    that takes longer than they wait has it work for nobody."""
    works = "the source works at its capacity while it is what everybody waits for"
    helps = "what it works for reaches callers who still wait"
    per_s = report.capacity_queries
    if not drill.cold or per_s is None or drill.name == "source-slow":
        return []
    wanted = _overloaded(report)
    if len(wanted) < 2 * _TRANSIENT:
        why = "it was not overloaded for long enough to tell"
        return [Finding(rule=rule, held=None, why=why) for rule in (works, helps)]
    seconds = f"in {len(wanted) * WINDOW_S:g} s of overload"
    worked = sum(p.queries or 0.0 for p in wanted) / len(wanted)
    helped = sum(_loaded(p) for p in wanted) / len(wanted)
    return [
        Finding(
            rule=works,
            held=worked >= GOODPUT * per_s,
            why=f"{worked:.0f} queries a second of {per_s:g} ({worked / per_s:.0%}), {seconds}",
        ),
        Finding(
            rule=helps,
            held=helped >= GOODPUT * per_s,
            why=f"{helped:.0f} callers a second had an answer by a load ({helped / per_s:.0%} of it), {seconds}",
        ),
    ]


def _overloaded(report: Report) -> list[Point]:
    """The windows in which more was wanted than the source could give: callers were refused or gave up, or all its
    slots were in use, in the windows beside it too. One window alone may have seen them in use for a moment."""
    until = report.points[-1].at if report.recovered_at is None else report.recovered_at
    bound = report.limit or report.capacity_running or 1
    points = report.points
    full = [(point.running or 0) >= bound for point in points]
    return [
        point
        for place, point in enumerate(points)
        if point.at >= report.fault_began + _TRANSIENT * WINDOW_S
        and point.at + WINDOW_S <= until
        and point.queries is not None
        and (point.refused or point.late or all(full[max(0, place - 1) : place + 2]))
    ]


def _loaded(point: Point) -> float:
    ended = point.answered + point.refused + point.late + point.failed
    return point.answered - (point.hits or 0.0) * ended


def _recovery(report: Report) -> Finding:
    rule = "it recovers by itself, in time"
    if report.aborted:
        return Finding(rule=rule, held=None, why="the drill was called off")
    budget = "" if report.budget_s is None else f"; it may take {report.budget_s:.1f} s"
    if report.ideal_s is not None:
        budget += f" ({report.hot_keys} hot keys at {report.capacity_queries:g} a second are {report.ideal_s:.1f} s)"
    if report.recovery_s is None:
        watched = (report.points[-1].at if report.points else 0.0) - report.fault_ended
        return Finding(
            rule=rule, held=False, why=f"not within the {watched:.0f} s it was watched for{budget}"
        )
    return Finding(
        rule=rule,
        held=report.budget_s is None or report.recovery_s <= report.budget_s,
        why=f"{report.recovery_s:.1f} s after the fault's end hits and answers were as before{budget}",
    )


def _errors(report: Report) -> Finding:
    rule = "once recovered, nobody is refused or fails"
    if report.recovered_at is None:
        return Finding(rule=rule, held=None, why="it was not seen to recover")
    missed = report.after.errors + report.after.refused
    return Finding(rule=rule, held=missed <= 1 - ANSWERED, why=f"{missed:.1%} of requests after that")


def compared(title: str, means: str, protected: Report, unprotected: Report) -> Comparison:
    """Two runs side by side."""
    shown = protected.verdict == "held" and unprotected.recovery_s is None and not unprotected.aborted
    last = unprotected.points[-round(4 / WINDOW_S) :]
    answered = sum(point.answered for point in last) / max(1, len(last))
    with_it = (
        "did not recover" if protected.recovery_s is None else f"recovered after {protected.recovery_s:.1f} s"
    )
    without = (
        f"was still answering {answered:.0f} of {unprotected.before.asked:.0f} requests a second at the end"
        if unprotected.recovery_s is None
        else f"recovered after {unprotected.recovery_s:.1f} s"
    )
    return Comparison(
        title=title,
        means=means,
        protected=protected,
        unprotected=unprotected,
        shown=shown,
        why=f"under the same load, with admission it {with_it}; without, it {without}",
    )
