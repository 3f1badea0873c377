"""What a drill found, as data: everything that Markdown and HTML show, and nothing that they have to work out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from cacheaside.drill.series import Point

__all__ = ["Comparison", "Figures", "Finding", "Report", "Verdict", "as_json"]

Verdict = Literal["held", "broken", "aborted", "not shown"]
"""held: every promise was. broken: one was not. aborted: called off, and restored. not shown: the fault did not happen,
so that nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One phase: before, during or after. Rates per second, shares from 0 to 1; None: nothing to tell it by.

    hits: of all requests. errors: failed or late. refused: `Overloaded`. running: queries at once, the most.
    """

    seconds: float
    asked: float
    answered: float
    hits: float | None
    refused: float
    errors: float
    p50_ms: float | None
    p99_ms: float | None
    running: int | None
    queries: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise, whether it was kept, and how that is known. held None: it does not apply, or nothing is known."""

    rule: str
    held: bool | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One drill. Moments in seconds since the beginning of `points`; queries, rates and capacity per second.

    fault_began, fault_ended: when what was broken was broken, and undone; the same for what happens in an instant.
    recovered_at: since when answers and hits were as before again; recovery_s: how long after the fault's end.
    budget_s: how long that may take. hot_keys: distinct keys asked for before the fault.
    peak_running, peak_queries: the most at once, and a second, from the fault on. limit: of loads, over all processes.
    """

    drill: str
    title: str
    target: str
    namespace: str
    steps: list[str]
    setting: dict[str, str]
    window_s: float
    points: list[Point]
    fault_began: float
    fault_ended: float
    recovered_at: float | None
    recovery_s: float | None
    ideal_s: float | None
    budget_s: float | None
    hot_keys: int | None
    capacity_running: int | None
    capacity_queries: float | None
    limit: int | None
    peak_running: int | None
    peak_queries: float | None
    peak_p99_ms: float | None
    stale: int
    requests: int
    changes: int
    before: Figures
    during: Figures
    after: Figures
    evidence: list[str]
    aborted: str | None
    findings: list[Finding]
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same drill twice: with admission, and without. shown: whether the one recovered and the other did not."""

    title: str
    means: str
    protected: Report
    unprotected: Report
    shown: bool
    why: str


def as_json(report: Report | Comparison) -> str:
    """The report as JSON, two spaces deep, with the line break of a text file."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
