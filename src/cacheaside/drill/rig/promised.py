"""May this answer miss that change? The promises on age and invalidation, as an outsider checks them. Pure."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import Final

__all__ = ["Changes", "Promised"]

CHANGES_KEPT_MAX: Final = 200
"""Changes of one row that are remembered, the latest."""


@dataclass(frozen=True, slots=True)
class Promised:
    """What a service promised. bound_s: ttl and grace. max_unsynced_s: how much later a process's memory may hear."""

    bound_s: float
    max_unsynced_s: float

    def is_stale(self, version: int, asked_at: float, changes: Changes) -> bool:
        """Whether an answer of this version, asked for at that moment, is older than it may be."""
        return (
            version < changes.acknowledged_by(asked_at - self.max_unsynced_s)
            or version < changes.written_by(asked_at - self.bound_s)
        )  # fmt: skip


class Changes:
    """The versions of one row, by the moments when their writers had been told that they are done."""

    def __init__(self) -> None:
        self._written: list[tuple[float, int]] = []
        self._acknowledged: list[tuple[float, int]] = []

    def done(self, version: int, at: float, *, acknowledged: bool) -> None:
        """A change is done; acknowledged: every process has been told, or will have been in time."""
        for kept in (self._written, self._acknowledged)[: 2 if acknowledged else 1]:
            insort(kept, (at, version))
            del kept[:-CHANGES_KEPT_MAX]

    def written_by(self, moment: float) -> int:
        """The newest version that was done by then; 0: none."""
        return max((version for at, version in self._written if at <= moment), default=0)

    def acknowledged_by(self, moment: float) -> int:
        """The newest that was acknowledged by then; 0: none."""
        return max((version for at, version in self._acknowledged if at <= moment), default=0)
