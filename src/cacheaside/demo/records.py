"""The database's own account of what was written when, read back for the check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from cacheaside.demo.database import connect
from cacheaside.demo.history import Allowance, Findings, History, Served, Written, check

__all__ = ["Watch", "whole_history"]

_SELECT: Final = (
    "SELECT h.flight_id, h.version, h.origin, h.expected_dep, c.committed_at, c.acknowledged_at"
    " FROM history h JOIN commits c ON c.id = h.commit_id "
)
_SETTLED_AFTER_S: Final = 1.0


def whole_history(path: Path) -> History:
    """Everything that was written to the database `path`, whose writer has ended."""
    with closing(connect(path)) as connection:
        return History(Written(*row) for row in connection.execute(_SELECT))


class Watch:
    """Checks a part of the responses while the load still runs, for the screen; the verdict comes from the whole."""

    def __init__(self, path: Path, allowances: dict[str, Allowance], sample_max: int) -> None:
        self._connection = connect(path)
        self._allowances = allowances
        self._sample_max = sample_max
        self._history = History()
        self._waiting: list[Served] = []
        self.findings = Findings()

    def served(self, responses: list[Served]) -> None:
        """Take note of responses, the first few of each pulse."""
        self._waiting += responses[: self._sample_max]

    def acknowledged(self, commits: Iterable[tuple[float, int]], now: float) -> None:
        """Take note of acknowledged changes, and check the responses that ended early enough to be judged by them."""
        for written in self._written(commits):
            self._history.add(written)
        settled = [one for one in self._waiting if one.ended_at < now - _SETTLED_AFTER_S]
        self._waiting = [one for one in self._waiting if one.ended_at >= now - _SETTLED_AFTER_S]
        check(self._history, settled, self._allowances, self.findings)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _written(self, commits: Iterable[tuple[float, int]]) -> Iterator[Written]:
        for acknowledged_at, commit_id in commits:
            for row in self._connection.execute(_SELECT + "WHERE c.id = ?", (commit_id,)):
                yield replace(Written(*row), acknowledged_at=acknowledged_at)
