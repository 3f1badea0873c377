"""What an outage of the shared tier was like, and how long it took until it was over for everybody. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from cacheaside.demo.history import Commit, Served
from cacheaside.demo.promises import Outage

__all__ = ["OutageReport", "outage_report"]

WINDOW_S: Final = 0.25
_AS_BEFORE: Final = 0.9


class OutageReport(Struct, frozen=True):
    """One outage. Times in seconds.

    emptied: the server lost all it held. seconds: how long it answered nothing.
    l1_for_s: how long after its beginning the last answer from L1 was asked for, before the server was back.
    changes: done meanwhile; owed: those of them that the tier acknowledged later than that.
    told_after_s: from the server's return to the last of these acknowledgements; None when one never came.
    hits_after_s: from the return until hits were at nine tenths of what they were before; None when that was not seen.
    """

    emptied: bool
    seconds: float
    l1_for_s: float
    changes: int
    owed: int
    told_after_s: float | None
    hits_after_s: float | None


def outage_report(
    outage: Outage, answers: Sequence[Served], commits: Sequence[Commit], *, hits_before: float
) -> OutageReport:
    """Put together what is known of one outage that is over. answers: in no particular order, of the side with the
    cache. hits_before: the share of answers that were hits in quiet times."""
    during = [
        one for one in answers if outage.began_at < one.started_at and one.ended_at < outage.returned_at
    ]
    done = [c for c in commits if c.done_at is not None and outage.began_at < c.done_at < outage.returned_at]
    owed = [c for c in done if c.acknowledged_at is None or c.acknowledged_at > outage.returned_at]
    told = [c.acknowledged_at for c in owed if c.acknowledged_at is not None]
    all_told = len(told) == len(owed)
    return OutageReport(
        emptied=outage.emptied,
        seconds=outage.returned_at - outage.began_at,
        l1_for_s=max((one.started_at - outage.began_at for one in during if one.source == "l1"), default=0.0),
        changes=len(done),
        owed=len(owed),
        told_after_s=max(told, default=outage.returned_at) - outage.returned_at if all_told else None,
        hits_after_s=_hits_after_s(outage.returned_at, answers, hits_before * _AS_BEFORE),
    )


def _hits_after_s(returned_at: float, answers: Sequence[Served], enough: float) -> float | None:
    """From the return to the end of the first window in which so large a share of the answers were hits."""
    windows: dict[int, list[bool]] = {}
    for one in answers:
        if one.started_at >= returned_at:
            window = int((one.started_at - returned_at) / WINDOW_S)
            windows.setdefault(window, []).append(one.source in ("l1", "l2"))
    for window in sorted(windows):
        hits = windows[window]
        if sum(hits) >= enough * len(hits):
            return (window + 1) * WINDOW_S
    return None
