"""The four pictures of a run. Pure."""

from __future__ import annotations

from cacheaside.drill.report import Report
from cacheaside.drill.reporting.plot import Chart, Line, Rule

__all__ = ["charts_of"]


def charts_of(report: Report) -> list[Chart]:
    """What became of requests, how long answers took, what the source was asked for, and how much of it at once."""
    points = report.points
    at = [point.at + report.window_s / 2 - report.fault_began for point in points]
    span = (0.0, report.fault_ended - report.fault_began)
    marked = [] if report.recovered_at is None else [(report.recovered_at - report.fault_began, "recovered")]
    marked = [(0.0, report.title), *marked]
    ended = [point.answered + point.refused + point.late + point.failed for point in points]
    hits = [
        min(point.answered, (point.hits or 0.0) * all_) for point, all_ in zip(points, ended, strict=True)
    ]
    known = any(hits)
    bound = report.limit if report.limit is not None else report.capacity_running
    running = [None if point.running is None else float(point.running) for point in points]
    most = max([value for value in running if value is not None], default=0.0)
    return [
        Chart(
            title="Requests",
            unit="a second",
            at=at,
            stacked=[
                Line("hits", "hit", hits),
                Line(
                    "loaded" if known else "answered",
                    "loaded",
                    [point.answered - hit for point, hit in zip(points, hits, strict=True)],
                ),
                Line("refused, with a time to retry", "refused", [point.refused for point in points]),
                Line("too late", "late", [point.late for point in points]),
                Line("failed", "failed", [point.failed for point in points]),
            ],
            lines=[Line("asked", "asked", [point.asked for point in points])],
            span=span,
            marked=marked,
        ),
        Chart(
            title="Time until answered, or given up",
            unit="ms",
            at=at,
            lines=[
                Line("p99", "p99", [point.p99_ms for point in points]),
                Line("p50", "p50", [point.p50_ms for point in points]),
            ],
            span=span,
            marked=marked,
            least=0.5,
            log=True,
        ),
        Chart(
            title="Queries that the source ended",
            unit="a second",
            at=at,
            lines=[Line("queries", "source", [point.queries for point in points])],
            rules=[Rule(f"capacity {report.capacity_queries:g}", report.capacity_queries)]
            if report.capacity_queries
            else [],
            span=span,
            marked=marked,
        ),
        Chart(
            title="Queries at the source at once",
            unit="at once",
            at=at,
            lines=[Line("at once, at most", "source", running)],
            rules=[Rule(f"{bound} are what it takes", bound)] if bound else [],
            span=span,
            marked=marked,
            least=10.0,
            log=bool(bound) and most > 10 * (bound or 1),
        ),
    ]
