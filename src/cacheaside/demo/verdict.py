"""From what one side's processes said, and what its database holds, to its part of the report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cacheaside.demo.figures import StageFigures, stage_figures
from cacheaside.demo.gathered import Gathered, Totals
from cacheaside.demo.history import Commit, History
from cacheaside.demo.judgement import Findings, check
from cacheaside.demo.promises import Promises
from cacheaside.demo.recovery import OutageReport, outage_report
from cacheaside.demo.report import Phase, Staleness, phase_report, staleness
from cacheaside.demo.stages import WITH, WITHOUT

__all__ = ["SideReport", "judged"]


@dataclass(frozen=True, slots=True)
class SideReport:
    """One side's part. under_outages: the verdict over the stages that are not quiet; None when there were none."""

    quiet: Phase
    stages: list[StageFigures]
    outages: list[OutageReport]
    under_outages: Staleness | None
    changes: int


def judged(
    gathered: Gathered,
    quiet: Totals,
    history: History,
    commits: Sequence[Commit],
    promises: Promises,
    *,
    cache: bool,
) -> SideReport:
    """Judge every answer by the whole history. quiet: everything up to the end of the quiet turns."""
    found = {name: check(history, log.answers, promises) for name, log in gathered.stages.items()}
    stages = [stage_figures(gathered, log, found[name], 0.0) for name, log in gathered.stages.items()]
    in_quiet, in_outages = Findings(), Findings()
    for name, findings in found.items():
        (in_quiet if name in (WITHOUT, WITH) else in_outages).add(findings)
    before = _hits(stages)
    return SideReport(
        quiet=phase_report(cache=cache, totals=quiet, findings=in_quiet),
        stages=stages,
        outages=[
            outage_report(outage, gathered.answers, commits, hits_before=before.get(WITH, 0.0))
            for outage in promises.outages
        ]
        if cache
        else [],
        under_outages=staleness(in_outages) if len(found) > 1 else None,
        changes=len(commits),
    )


def _hits(stages: Sequence[StageFigures]) -> Mapping[str, float]:
    return {stage.name: stage.from_l1 + stage.from_l2 for stage in stages}
