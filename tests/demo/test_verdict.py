"""One side is judged as a whole: quiet times and outages apart, each stage by itself."""

from __future__ import annotations

import pytest

from cacheaside.demo.gathered import Gathered
from cacheaside.demo.history import Commit, History, Served, Written
from cacheaside.demo.promises import Allowance, Outage, Promises
from cacheaside.demo.stages import WITH, WITHOUT
from cacheaside.demo.verdict import SideReport, judged
from tests.demo.pulses import load, service
from tests.demo.writing import written

ALLOWED = {"flight": Allowance(0.0, 60.0)}
KILLED = Outage(20.0, emptied=True, returned_at=24.0)
WRITES = [written(2, 15.0, 15.1, process=1), written(3, 21.0, 21.1, process=1, acknowledged_at=24.5)]


def verdict(gathered: Gathered, writes: list[Written], *outages: Outage, cache: bool = True) -> SideReport:
    quiet = gathered.totals()
    assert quiet is not None
    commits: list[Commit] = [w.commit for w in writes]
    return judged(gathered, quiet, History(writes), commits, Promises(ALLOWED, 2.0, outages), cache=cache)


def shown(at: float, version: int) -> Served:
    return Served("flight", at, at + 0.01, ((1, version),), None, 0, "l1")


@pytest.fixture
def gathered() -> Gathered:
    gathered = Gathered()
    gathered.service_pulse(0, service(10.0))
    gathered.begin(WITH, 10.0)
    gathered.begin("Valkey killed", 20.0)
    gathered.begin("Valkey back", 24.0)
    gathered.end(28.0)
    return gathered


def test_each_stage_has_its_own_verdict_and_the_quiet_ones_are_the_phase(gathered: Gathered) -> None:
    """What is found in an outage is not held against the comparison, and the other way round."""
    in_quiet, allowed, too_old, later = shown(17.2, 1), shown(21.5, 2), shown(23.0, 2), shown(25.0, 3)
    gathered.load_pulse(load(in_quiet, allowed, too_old, later))
    told = verdict(gathered, WRITES, KILLED)
    assert [(stage.name, stage.stale, stage.beyond) for stage in told.stages] == [
        (WITH, 1, 1),
        ("Valkey killed", 2, 2),  # one too old, and from L1 when it had to be silent
        ("Valkey back", 0, 0),
    ]
    assert told.quiet.staleness.beyond_contract == 1
    assert told.under_outages is not None
    found = told.under_outages
    assert (found.responses_checked, found.before_owed_changes, found.beyond_contract) == (3, 1, 1)
    assert found.l1_out_of_touch == 1
    assert told.changes == 2


def test_outages_are_reported_with_what_was_usual_before(gathered: Gathered) -> None:
    """Recovery is measured against the quiet times of the same side."""
    hit, miss = shown(11.0, 1), Served("flight", 12.0, 12.1, ((1, 1),), None, 0, "source")
    gathered.load_pulse(load(hit, miss, shown(24.6, 3)))
    (outage,) = verdict(gathered, WRITES, KILLED).outages
    assert (outage.changes, outage.owed, outage.hits_after_s) == (1, 1, 0.75)


def test_a_side_without_outages_says_nothing_of_them() -> None:
    """The side without the cache has quiet times alone."""
    gathered = Gathered()
    gathered.service_pulse(0, service(10.0))
    gathered.begin(WITHOUT, 10.0)
    gathered.load_pulse(load(shown(11.0, 1)))
    gathered.end(12.0)
    told = verdict(gathered, [], cache=False)
    assert (told.outages, told.under_outages) == ([], None)
    assert told.quiet.sound
