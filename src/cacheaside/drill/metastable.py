"""The metastable case: the same load, the same flush, with admission and without.

A system is metastable when a trigger that is long over leaves it in a state that it keeps itself in: here a flush,
after which callers who wait too long ask again, for loads that nobody waits for any more, at a source that does less
the more is asked of it (Bronson, Aghayev, Charapko, Zhu: "Metastable Failures in Distributed Systems", HotOS 2021;
Huang et al.: "Metastable Failures in the Wild", OSDI 2022). The load before and after is the same; only the cache is
not.
"""

from __future__ import annotations

from typing import Final

from cacheaside.drill.judging import compared
from cacheaside.drill.report import Comparison, Report

__all__ = ["MEANS", "TITLE", "comparison"]

TITLE: Final = "The metastable case"
MEANS: Final = (
    "A load that a warm cache bears easily, and that the source alone cannot bear. The cache is emptied once. Everybody"
    " misses; those who wait too long give up and ask again, while the source still works on what they gave up; and the"
    " more it is asked for at once, the less it gets done. Without admission no load ends in time to be stored, so the"
    " cache stays empty, and the failure outlives its cause. With admission the source is never asked for more at once"
    " than it takes: each load that it takes ends, is stored, and is missed no more."
)


def comparison(protected: Report, unprotected: Report) -> Comparison:
    """Both runs, side by side."""
    return compared(TITLE, MEANS, protected, unprotected)
