"""What a run showed, in sentences: the verdict, how it is known, and each outage."""

from __future__ import annotations

from collections.abc import Iterator

from cacheaside.demo.recovery import OutageReport
from cacheaside.demo.report import Report, Staleness

__all__ = ["examples", "explained", "slowest", "verdict"]


def verdict(report: Report) -> str:
    """One sentence on whether any answer was older than it may be, and how that is known."""
    parts = report.verdicts
    checked = sum(part.responses_checked for part in parts)
    basis = (
        f"{checked:,} responses were compared with the database's history of {report.changes:,} changes"
        f"{f', made by {report.processes} processes' if report.processes > 1 else ''}"
    )
    if impossible := sum(part.impossible for part in parts):
        return f"No verdict: {basis}, and the history contradicts {impossible:,} of them."
    faults = list(_faults(report, parts))
    if not faults:
        return f"No stale serve beyond the contract, and no error: {basis}."
    return f"{'; '.join(faults)}: {basis}."


def _faults(report: Report, parts: list[Staleness]) -> Iterator[str]:
    if beyond := sum(part.beyond_contract for part in parts):
        yield f"{beyond:,} stale serves beyond the contract"
    if alone := sum(part.l1_out_of_touch for part in parts):
        yield f"{alone:,} answers from L1 when it was out of touch"
    if report.failed:
        yield f"{report.failed:,} requests failed"
    if not all(part.responses_checked for part in parts):
        yield "nothing could be checked"


def explained(report: Report) -> list[str]:
    """What several processes and outages add to the verdict; nothing when there was one process alone."""
    if report.tier is None:
        return []
    tier = report.tier.partition(" ")[0]
    told = [_behind(tier, report), *(_outage(tier, outage, report) for outage in report.outages)]
    return [*told, _window(tier, report)]


def slowest(report: Report) -> Iterator[str]:
    """Why the slowest answers are slower with the cache, where they are and several processes share."""
    off, on = report.without_cache, report.with_cache
    if report.tier is not None and on.p99_ms > off.p99_ms:
        tier = report.tier.partition(" ")[0]
        yield (
            f"p99 is higher with the cache, because the slowest answers are misses, {on.miss_rate:.0%} of the reads"
            f" here, and a miss asks {tier} three times besides the load: {on.misses_p50_ms:.1f} ms at its median,"
            f" where a read without the cache takes {off.p50_ms:.1f}. Of the hits, 99 in 100 took at most"
            f" {on.hits_p99_ms:.1f}."
        )


def _behind(tier: str, report: Report) -> str:
    parts = report.verdicts
    own = sum(part.behind_own_process for part in parts)
    behind = sum(part.behind_others for part in parts)
    oldest_ms = max(part.oldest_behind_others_ms for part in parts)
    said = f"{behind:,}, by {oldest_ms:,.1f} ms at most" if behind else "0"
    return (
        f"Answers behind a change that their own process had made: {own:,} (promised: 0); behind one that another had"
        f" made and {tier} acknowledged: {said} (promised: {report.max_unsynced_s:g} s at most, from L1 only)."
    )


def _outage(tier: str, outage: OutageReport, report: Report) -> str:
    how = "killed" if outage.emptied else "frozen"
    told = "never told" if outage.told_after_s is None else f"all told {outage.told_after_s:.2f} s after it"
    hits = "not seen" if outage.hits_after_s is None else f"after {outage.hits_after_s:.2f} s"
    return (
        f"{tier} {how} for {outage.seconds:.1f} s: L1 answered for the first {outage.l1_for_s:.2f} s (limit:"
        f" {report.max_unsynced_s:g} s), then the database. {outage.changes:,} changes were made, and"
        f" {outage.owed:,} of them owed to the others until its return; {told}. Hits as before: {hits}."
    )


def _window(tier: str, report: Report) -> str:
    missed = sum(part.before_owed_changes for part in report.verdicts)
    oldest_ms = max(part.oldest_before_owed_ms for part in report.verdicts)
    said = f"{missed:,} answers did, by {oldest_ms / 1e3:.1f} s at most" if missed else "none did"
    return (
        f"A change made while {tier} is away is acknowledged when it is back. Until then other processes may miss it:"
        f" in answers from L1, for {report.max_unsynced_s:g} s, and after a freeze in answers from what {tier} kept"
        f" (one that was killed kept nothing): {said}."
    )


def examples(report: Report) -> Iterator[str]:
    """The first few of what was found against the run."""
    for part in report.verdicts:
        yield from part.examples
    for phase in (report.without_cache, report.with_cache):
        yield from phase.failures
