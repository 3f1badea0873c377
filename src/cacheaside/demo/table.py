"""The lines of the comparison, with the cache and without: words and numbers, no drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cacheaside.demo.report import EndpointReport, Phase

__all__ = ["ENDPOINT_COLUMNS", "Line", "comparison", "endpoint_lines"]

NOTHING: Final = "–"
_Compared = tuple[str, bool]
_THE_SAME: Final = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """One measure in words, for both phases, and how they compare where that means something.

    worse: it is worse with the cache.
    """

    name: str
    without: str
    with_: str
    factor: str = ""
    worse: bool = False


def comparison(without: Phase | None, with_: Phase | None) -> list[Line]:
    """What the cache changes, line by line; a phase that did not run yet is left blank."""

    def line(
        name: str, words: Callable[[Phase], str], factor: Callable[[Phase, Phase], _Compared] = _no_factor
    ) -> Line:
        said, worse = factor(without, with_) if without and with_ else ("", False)
        return Line(name, words(without) if without else "", words(with_) if with_ else "", said, worse)

    return [
        line(
            "requests/s",
            lambda p: f"{p.requests_per_s:,.0f}",
            lambda off, on: _factor(on.requests_per_s, off.requests_per_s, "more", "fewer"),
        ),
        line(
            "latency p50, ms",
            lambda p: _ms(p.p50_ms),
            lambda off, on: _factor(off.p50_ms, on.p50_ms, "lower", "higher"),
        ),
        line(
            "latency p99, ms",
            lambda p: _ms(p.p99_ms),
            lambda off, on: _factor(off.p99_ms, on.p99_ms, "lower", "higher"),
        ),
        line("  of hits p50 / p99", lambda p: _pair(p.hits_p50_ms, p.hits_p99_ms) if p.cache else NOTHING),
        line("  of misses p50 / p99", lambda p: _pair(p.misses_p50_ms, p.misses_p99_ms)),
        line("hit rate", lambda p: f"{p.hit_rate:.1%}" if p.cache else NOTHING),
        line("miss rate", lambda p: f"{p.miss_rate:.1%}" if p.cache else NOTHING),
        line("fill latency p50 / p99, ms", lambda p: _pair(p.fill_p50_ms, p.fill_p99_ms)),
        line("loads per missed key", lambda p: f"{p.loads_per_missed_key:.3f}"),
        line(
            "database queries per request",
            lambda p: f"{p.queries_per_request:.3f}",
            lambda off, on: _factor(off.queries_per_request, on.queries_per_request, "fewer", "more"),
        ),
        line("changes (of them bulk holds)", lambda p: f"{p.changes:,} ({p.bulk_holds})"),
        line("stale serves / checked", _stale),
        line("beyond the contract", lambda p: f"{p.staleness.beyond_contract:,}"),
        line("oldest stale serve", _oldest),
    ]


def endpoint_lines(phase: Phase) -> list[tuple[str, ...]]:
    """Each endpoint in words, by `ENDPOINT_COLUMNS`."""
    return [(name, *_endpoint(one)) for name, one in phase.endpoints.items()]


ENDPOINT_COLUMNS = (
    "endpoint",
    "requests",
    "latency, ms",
    "hit rate",
    "misses",
    "joined",
    "refreshed",
    "fill, ms",
)


def _endpoint(one: EndpointReport) -> tuple[str, ...]:
    counters = one.counters
    return (
        f"{one.requests:,}",
        _pair(one.p50_ms, one.p99_ms),
        f"{counters.hits / max(1, counters.reads):.1%}",
        f"{sum(counters.misses.values()):,}",
        f"{counters.collapsed:,}",
        f"{counters.refreshes:,}",
        _pair(one.fill_p50_ms, one.fill_p99_ms),
    )


def _stale(phase: Phase) -> str:
    return f"{phase.staleness.stale_serves:,} / {phase.staleness.responses_checked:,}"


def _oldest(phase: Phase) -> str:
    return f"{phase.staleness.oldest_stale_ms:,.1f} ms" if phase.staleness.stale_serves else NOTHING


def _pair(p50_ms: float, p99_ms: float) -> str:
    return f"{_ms(p50_ms)} / {_ms(p99_ms)}"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _factor(one: float, other: float, better: str, worse: str) -> _Compared:
    """How `one` compares to `other`, where more of it is better: "1.5x" and the word for it, and whether it is worse;
    nothing where it is the same."""
    if not one or not other or abs(one / other - 1) < _THE_SAME:
        return "", False
    return (f"{one / other:.1f}x {better}", False) if one >= other else (f"{other / one:.1f}x {worse}", True)


def _no_factor(_without: Phase, _with: Phase) -> _Compared:
    return "", False
