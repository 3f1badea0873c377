"""The database's own account of what was written when, read back for the check."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from cacheaside.demo.database import connect
from cacheaside.demo.history import Commit, History, Served, Written
from cacheaside.demo.judgement import Findings, check
from cacheaside.demo.messages import Done
from cacheaside.demo.promises import Promises

__all__ = ["Watch", "whole_history"]

_SELECT: Final = (
    "SELECT c.id, c.committed_at, c.process, c.done_at, c.acknowledged_at,"
    " h.flight_id, h.version, h.origin, h.expected_dep"
    " FROM commits c LEFT JOIN history h ON h.commit_id = c.id WHERE c.id > ? ORDER BY c.id, h.flight_id"
)
_SETTLED_AFTER_S: Final = 1.0


class _Records:
    """The history so far, and the commits it is made of by their numbers."""

    def __init__(self) -> None:
        self.history = History()
        self.commits: dict[int, Commit] = {}

    def read_on(self, connection: sqlite3.Connection) -> None:
        """Read what was committed since the last time. Commits are numbered in their order."""
        for row in connection.execute(_SELECT, (next(reversed(self.commits), 0),)).fetchall():
            commit = self.commits.setdefault(row[0], Commit(*row[1:5]))
            if row[5] is not None:  # a hold that found nobody to hold has made no version
                self.history.add(Written(row[5], row[6], row[7], row[8], commit))


def whole_history(path: Path) -> tuple[History, list[Commit]]:
    """Everything that was written to the database `path`, whose writers have ended, and the commits it is made of."""
    records = _Records()
    with closing(connect(path)) as connection:
        records.read_on(connection)
    return records.history, list(records.commits.values())


class Watch:
    """Checks a part of the responses while the load still runs, for the screen; the verdict comes from the whole."""

    def __init__(self, path: Path, promises: Promises, sample_max: int) -> None:
        self._connection = connect(path)
        self._promises = promises
        self._sample_max = sample_max
        self._records = _Records()
        self._waiting: list[tuple[Served, Findings]] = []

    def served(self, responses: list[Served], findings: Findings) -> None:
        """Take note of responses, the first few of each pulse; what is found will be added to `findings`."""
        self._waiting += [(one, findings) for one in responses[: self._sample_max]]

    def done(self, changes: Iterable[Done], now: float) -> None:
        """Take note of changes that are done, and check the responses that ended early enough to be judged by them."""
        self._records.read_on(self._connection)
        for change in changes:
            commit = self._records.commits[change.commit_id]
            commit.done_at, commit.acknowledged_at = change.done_at, change.acknowledged_at
        settled = [one for one in self._waiting if one[0].ended_at < now - _SETTLED_AFTER_S]
        self._waiting = [one for one in self._waiting if one[0].ended_at >= now - _SETTLED_AFTER_S]
        for one, findings in settled:
            check(self._records.history, [one], self._promises, findings)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
