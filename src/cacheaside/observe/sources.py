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

    @property
    def given_total(self) -> int:
        """All turns given."""
        return sum(self.given.values())

    @property
    def is_pressed(self) -> bool:
        """Whether there is anything to tell: loads wait, were refused, or the limit has come down."""
        return bool(self.waiting_total or self.refused_total or self.limit < self.share)

    def __str__(self) -> str:
        lowered = f" (of {self.share}: loads take {self.inflation:.1f} times as long as nearly alone)"
        limit = f"{self.limit}{lowered if self.limit < self.share else ''}"
        waiting = f", waiting {self.waiting_total} of {self.waiting_max}" if self.waiting_total else ""
        return f"source {self.name}: under way {self.held} of {limit}{waiting}{self._refusals()}"

    def _refusals(self) -> str:
        if not self.refused_total:
            return ""
        reasons: dict[str, int] = {}
        for of_priority in self.refused.values():
            for reason, count in of_priority.items():
                reasons[reason] = reasons.get(reason, 0) + count
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items() if count)
        return f", REFUSED {self.refused_total:,} ({told}) beside {self.given_total:,} turns given"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the totals."""
        return asdict(self) | {"waiting_total": self.waiting_total, "refused_total": self.refused_total}
