"""Whole drills on servers of their own: the fault is seen, the promises hold, everything is as before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cacheaside.drill.capacity import Capacity
from cacheaside.drill.drills import DRILLS
from cacheaside.drill.own import drill_own, metastable_own
from cacheaside.drill.report import Report
from cacheaside.drill.settings import Abort, Load, Radius, Settings

if TYPE_CHECKING:
    from pathlib import Path

SHORT = Settings(
    before_s=1.0,
    after_s=12.0,
    afterwards_s=0.5,
    capacity=Capacity(slots=4, service_s=0.02),
    load=Load(rate=120.0, keys=120, writes=3.0),
    radius=Radius(seconds=2.0),
    max_unsynced_s=0.5,
)
pytestmark = [
    pytest.mark.xdist_group(
        "demo"
    ),  # they measure, as the demo does: several at once would measure each other
    pytest.mark.timeout(180),
]


def run(name: str, settings: Settings, folder: Path) -> Report:
    said: list[str] = []
    report = asyncio.run(drill_own(DRILLS[name], settings, folder, said.append))
    assert list(folder.iterdir()) == []  # nothing is left to be put right
    return report


def held(report: Report, words: str) -> bool | None:
    (finding,) = [one for one in report.findings if words in one.rule]
    return finding.held


IN_EVERY_RUN = ("flush", "hot-key", "l2-frozen", "eviction-storm", "rolling-restart")
"""The others take the same way with another fault (test_faults.py has each), ten seconds apiece."""


@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.soak) for name in DRILLS]
)
def test_a_drill_shows_its_fault_and_the_service_survives_it(name: str, tmp_path: Path) -> None:
    """The fault is shown to have happened (after a flush the source works); the source is never asked for more than its
    limit, the queue keeps its bound, no answer is too old, and the service comes back by itself."""
    report = run(name, SHORT, tmp_path)
    assert report.verdict != "not shown", report.evidence
    assert held(report, "the fault happened") is True, report.evidence
    assert held(report, "at once") is True, report.findings
    assert held(report, "queue") is True, report.findings
    assert held(report, "older") is True, report.findings
    assert report.recovery_s is not None, report.findings
    assert report.before.hits is not None
    assert report.before.hits > 0.9
    assert report.requests > 200
    assert report.changes > 0
    if name == "flush":  # what was deleted is loaded again
        assert report.before.queries is not None
        assert report.peak_queries is not None
        assert report.peak_queries > 5 * max(report.before.queries, 2.0)


def test_a_drill_is_called_off_and_restored(tmp_path: Path) -> None:
    """With its condition met it ends early, says why, and the server is thawed: those who ask are answered again."""
    wary = replace(SHORT, abort=Abort(running=3, window_s=1.0), radius=Radius(seconds=20.0))
    report = run("l2-frozen", wary, tmp_path)
    assert report.verdict == "aborted"
    assert report.aborted is not None
    assert "queries ran at once" in report.aborted
    assert report.fault_ended - report.fault_began < 15.0
    assert "it answers again" in report.evidence


@pytest.mark.soak  # two whole runs; in virtual time it is part of every run (test_virtual.py)
def test_the_metastable_case_on_real_servers(tmp_path: Path) -> None:
    """The same load and flush: with admission it recovers, without it the collapse outlives its cause."""
    settings = Settings(
        before_s=2.0,
        after_s=10.0,
        timeout_s=3.0,
        capacity=Capacity(slots=4, service_s=0.1),
        load=Load(rate=200.0, keys=160, writes=2.0),
    )
    found = asyncio.run(metastable_own(settings, tmp_path, lambda _: None))
    assert found.protected.recovery_s is not None, found.why
    assert found.unprotected.recovery_s is None, found.why
    assert found.protected.peak_running is not None
    assert found.protected.peak_running <= settings.capacity.slots
    last = found.unprotected.points[-8:]
    assert sum(point.answered for point in last) / len(last) < 0.25 * settings.load.rate
