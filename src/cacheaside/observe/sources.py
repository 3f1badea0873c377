"""How loads are let in front of a source, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SourceStats"]


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One source of this process. What may be under way is counted in weight: 1 a load, or what its contract says.

    ceiling: the declared limit. share: what this process may use of it. limit: the weight that may be under way now,
    found between `floor` and the share. holders: loads under way; held: their weight; holders_peak: the most so far.
    waiting: loads that wait for a turn, by priority; waiting_max: the bound of all of them; waiting_peak: the most
    so far.
    Counted since the process began, by priority: given: turns; refused: loads that got none, by reason: "full" (the
    queue was), "shed" (for a load of a higher priority), "late" (waited too long), "retry" (it repeats another load,
    and the budget was spent).
    retry_budget_left: repeats that may wait for a turn now. retry_after_s: what a load refused now would be told.
    inflation: how many times as long as nearly alone a load took of late. backed_off: how often signs of overload
    shrank the limit. probes: how often it was halved for a moment to find out how long a load takes nearly alone.
    """

    name: str
    ceiling: int
    share: int
    floor: int
    limit: int
    holders: int
    held: int
    holders_peak: int
    waiting: Mapping[str, int]
    waiting_max: int
    waiting_peak: int
    given: Mapping[str, int]
    refused: Mapping[str, Mapping[str, int]]
    retry_budget_left: float
    retry_after_s: float
    inflation: float
    backed_off: int
    probes: int

    @property
    def waiting_total(self) -> int:
        """All that wait."""
        return sum(self.waiting.values())

    @property
    def refused_total(self) -> int:
        """All that got no turn."""
        return sum(sum(reasons.values()) for reasons in self.refused.values())

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the totals."""
        return asdict(self) | {"waiting_total": self.waiting_total, "refused_total": self.refused_total}
