"""The figures of one stage, from its answers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from cacheaside.demo.gathered import Gathered, StageLog
from cacheaside.demo.history import Served
from cacheaside.demo.judgement import Findings

__all__ = ["StageFigures", "quantile_ms", "stage_figures"]


class StageFigures(Struct, frozen=True):
    """What a stage was like for its readers. Latencies in milliseconds, shares from 0 to 1.

    from_database: waited for a load, their own or one that another read began.
    stale: missed a change that was done, of them beyond: more than was promised.
    """

    name: str
    seconds: float
    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    from_l1: float
    from_l2: float
    from_database: float
    queries_per_s: float
    failed: int
    stale: int
    beyond: int


def stage_figures(gathered: Gathered, log: StageLog, findings: Findings, now: float) -> StageFigures:
    """The figures of the stages of one name, by what is known at the moment `now`."""
    seconds = log.seconds(now)
    count = len(log.answers)
    sources = Counter(one.source for one in log.answers)
    latencies_s = sorted(latencies(log.answers))
    return StageFigures(
        name=log.name,
        seconds=seconds,
        requests=count,
        requests_per_s=count / seconds if seconds else 0.0,
        p50_ms=quantile_ms(latencies_s, 0.5),
        p99_ms=quantile_ms(latencies_s, 0.99),
        from_l1=sources["l1"] / max(1, count),
        from_l2=sources["l2"] / max(1, count),
        from_database=(sources["joined"] + sources["source"]) / max(1, count),
        queries_per_s=gathered.queries(log, now) / seconds if seconds else 0.0,
        failed=len(log.failures),
        stale=findings.stale,
        beyond=findings.beyond + findings.alone + findings.impossible,
    )


def latencies(answers: Iterable[Served]) -> list[float]:
    """How long each answer took, in seconds."""
    return [one.ended_at - one.started_at for one in answers]


def quantile_ms(ordered_s: Sequence[float], share: float) -> float:
    """The one of `ordered_s` that `share` of them do not exceed, in milliseconds; 0 of none."""
    return ordered_s[min(len(ordered_s) - 1, int(share * len(ordered_s)))] * 1e3 if ordered_s else 0.0
