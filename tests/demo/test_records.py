"""The history is read back from the database, at the end and while it grows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.history import Served
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Done
from cacheaside.demo.promises import Allowance, Promises
from cacheaside.demo.records import Watch, whole_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMISES = Promises({"flight": Allowance(0.0, 60.0)})


def insert(path: Path, commits: str, history: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            f"INSERT INTO commits VALUES {commits}; INSERT INTO history VALUES {history};"
        )


@pytest.fixture
def changed(built: Path) -> Path:
    """A database in which flight 3 was changed twice, by two processes; the second change was never done."""
    insert(
        built,
        "(1, 0, 10.0, 10.5, 10.6), (2, 1, 20.0, NULL, NULL)",
        "(3, 2, 1, 'JFK', 500), (3, 3, 2, 'JFK', 600)",
    )
    return built


@pytest.fixture
def watch(changed: Path) -> Iterator[Watch]:
    with closing(Watch(changed, PROMISES, sample_max=2)) as watch:
        yield watch


def test_the_whole_history_has_every_version_with_its_moments(changed: Path) -> None:
    """Versions come in order, with who made them and the moments of their commits, and None for what never came."""
    history, commits = whole_history(changed)
    assert [(w.version, w.expected_dep) for w in history.writes(3)] == [(2, 500), (3, 600)]
    assert [(c.process, c.committed_at, c.done_at, c.acknowledged_at) for c in commits] == [
        (0, 10.0, 10.5, 10.6),
        (1, 20.0, None, None),
    ]
    assert [w.commit for w in history.writes(3)] == commits


def test_a_commit_that_changed_no_row_is_part_of_the_history(changed: Path) -> None:
    """A hold that finds nobody to hold makes no version, and is a commit all the same."""
    with closing(sqlite3.connect(changed)) as connection, connection:
        connection.execute("INSERT INTO commits VALUES (3, 0, 30.0, 30.1, 30.1)")
    _, commits = whole_history(changed)
    assert [c.committed_at for c in commits] == [10.0, 20.0, 30.0]


def test_a_watch_judges_when_all_that_matters_is_known(watch: Watch) -> None:
    """A response is judged only after every change that could make it stale has been heard of; a few of each pulse."""
    first, second = Findings(), Findings()
    watch.served([Served("flight", 11.0, 11.1, ((3, 1),)), Served("flight", 11.0, 11.1, ((3, 2),))], first)
    watch.served([Served("flight", 11.0, 11.1, ((3, 1),))] * 9, second)
    watch.done([], now=11.5)
    assert first.checked == second.checked == 0
    watch.done([Done(1, 10.5, 10.6)], now=13.0)
    assert (first.checked, first.stale) == (2, 1)
    assert (second.checked, second.stale) == (2, 2)


def test_a_watch_hears_of_processes_in_any_order(changed: Path, watch: Watch) -> None:
    """What a process tells late, of a change that another one's came after, is taken in all the same."""
    findings = Findings()
    watch.done([Done(2, 20.1, 20.1)], now=21.0)
    insert(changed, "(3, 0, 30.0, NULL, NULL)", "(3, 4, 3, 'JFK', 700)")
    watch.served([Served("flight", 31.0, 31.1, ((3, 3),), process=1, source="l1")], findings)
    watch.done([Done(1, 10.5, 10.6), Done(3, 30.1)], now=31.5)
    watch.done([Done(3, 30.1, 30.9)], now=33.0)
    assert (findings.stale, findings.owed) == (1, 0)
