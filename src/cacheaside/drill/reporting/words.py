"""Numbers as people read them. Pure."""

from __future__ import annotations

from typing import Final

from cacheaside.drill.report import Figures, Finding, Report, Verdict

__all__ = ["VERDICTS", "mark", "ms", "number", "phases", "share", "tiles"]

TELLING_S: Final = 0.5
"""A shorter phase tells nothing."""
VERDICTS: dict[Verdict, str] = {
    "held": "Every promise held.",
    "broken": "A promise was broken.",
    "aborted": "Called off, and restored.",
    "not shown": "The fault did not happen as meant: nothing is known.",
}


def number(value: float | None, unit: str = "") -> str:
    """With as many digits as matter; a dash for nothing."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"
    return f"{text} {unit}".rstrip()


def ms(value: float | None) -> str:
    """A time in ms, in seconds where that is shorter to read."""
    if value is None:
        return "–"
    return (
        f"{value / 1e3:.2f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
    )


def share(value: float | None) -> str:
    """In percent."""
    if value is None:
        return "–"
    return f"{value:.1%}" if 0 < value < 0.1 or 0.9 < value < 1 else f"{value:.0%}"


def mark(finding: Finding) -> str:
    """A sign for a finding."""
    return {True: "✓", False: "✗", None: "–"}[finding.held]


def tiles(report: Report) -> list[tuple[str, str, str]]:
    """What to look at first: a name, a number, and what it is to be compared with."""
    recovery = "not seen" if report.recovery_s is None else f"{report.recovery_s:.1f} s"
    budget = "" if report.budget_s is None else f"at most {report.budget_s:.1f} s"
    bound = report.limit if report.limit is not None else report.capacity_running
    return [
        ("time to recover", recovery, budget),
        (
            "most queries at once",
            number(report.peak_running),
            f"{number(bound)} are what it takes" if bound else "",
        ),
        (
            "most queries a second",
            number(report.peak_queries),
            f"capacity {number(report.capacity_queries)}" if report.capacity_queries else "",
        ),
        (
            "answered while broken",
            share(_answered(report.during)),
            f"before {share(_answered(report.before))}",
        ),
        ("p99 while broken", ms(report.during.p99_ms), f"before {ms(report.before.p99_ms)}"),
        ("older than allowed", number(report.stale), f"of {number(report.requests)} answers"),
    ]


def _answered(of: Figures) -> float | None:
    return of.answered / of.asked if of.asked else None


def phases(report: Report) -> list[tuple[str, str, str, str]]:
    """A row for each figure: its name, and before, while broken and cold, and after."""
    each = (report.before, report.during, report.after)

    def row(name: str, *values: str) -> tuple[str, str, str, str]:
        said = [value if of.seconds >= TELLING_S else "–" for of, value in zip(each, values, strict=True)]
        return (name, said[0], said[1], said[2])

    return [
        row("seconds", *(number(of.seconds) for of in each)),
        row("requests a second", *(number(of.asked) for of in each)),
        row("answered a second", *(number(of.answered) for of in each)),
        row("hits", *(share(of.hits) for of in each)),
        row("refused, with a time to retry", *(share(of.refused) for of in each)),
        row("failed or too late", *(share(of.errors) for of in each)),
        row("p50", *(ms(of.p50_ms) for of in each)),
        row("p99", *(ms(of.p99_ms) for of in each)),
        row("queries at once, at most", *(number(of.running) for of in each)),
        row("queries a second", *(number(of.queries) for of in each)),
    ]
