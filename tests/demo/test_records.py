"""The history is read back from the database, at the end and while it grows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.history import Allowance, Served
from cacheaside.demo.records import Watch, whole_history

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = {"flight": Allowance(0.0, 60.0)}


@pytest.fixture
def changed(built: Path) -> Path:
    """A database in which flight 3 was changed twice; the second change was never acknowledged."""
    with closing(sqlite3.connect(built)) as connection, connection:
        connection.executescript(
            "INSERT INTO commits VALUES (1, 10.0, 10.5), (2, 20.0, NULL);"
            "INSERT INTO history VALUES (3, 2, 1, 'JFK', 500), (3, 3, 2, 'JFK', 600);"
        )
    return built


def test_the_whole_history_has_every_version_with_its_moments(changed: Path) -> None:
    """Versions come in order, with the moments of their commits, and None where no acknowledgement came."""
    writes = whole_history(changed).writes(3)
    assert [(w.version, w.committed_at, w.acknowledged_at, w.expected_dep) for w in writes] == [
        (2, 10.0, 10.5, 500),
        (3, 20.0, None, 600),
    ]


def test_a_watch_judges_when_all_that_matters_is_known(changed: Path) -> None:
    """A response is judged only after every change that could make it stale has been heard of."""
    watch = Watch(changed, ALLOWED, sample_max=2)
    watch.served([Served("flight", 11.0, 11.1, ((3, 1),)), Served("flight", 11.0, 11.1, ((3, 2),))])
    watch.served([Served("flight", 11.0, 11.1, ((3, 1),))] * 9)
    watch.acknowledged([], now=11.5)
    assert watch.findings.checked == 0
    watch.acknowledged([(10.5, 1)], now=13.0)
    watch.close()
    assert (watch.findings.checked, watch.findings.stale) == (4, 3)
