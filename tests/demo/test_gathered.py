"""What processes say is put where it belongs: to the stage in which it began."""

from __future__ import annotations

import pytest

from cacheaside.demo.gathered import Gathered
from cacheaside.demo.messages import Failure
from tests.demo.pulses import answer, load, service


@pytest.fixture
def gathered() -> Gathered:
    return Gathered()


def test_a_request_belongs_to_the_stage_in_which_it_started(gathered: Gathered) -> None:
    """However late an answer or a failure comes, it counts for the stage in which it was asked for."""
    gathered.begin("quiet", 10.0)
    gathered.begin("killed", 12.0)
    early, late = answer(11.9, lasting=1.0), answer(12.1)
    gathered.load_pulse(load(late, early, failures=(Failure(11.0, "refused"),)))
    quiet, killed = gathered.stages["quiet"], gathered.stages["killed"]
    assert (quiet.answers, killed.answers) == ([early], [late])
    assert (len(quiet.failures), len(killed.failures)) == (1, 0)
    assert gathered.current is killed


def test_a_stage_lasts_from_its_beginning_to_the_next_or_to_the_end_of_its_turn(gathered: Gathered) -> None:
    """A name that comes again goes on where it stopped, and the time in between is not its own."""
    gathered.begin("quiet", 10.0)
    gathered.end(12.0)
    gathered.begin("quiet", 20.0)
    quiet = gathered.stages["quiet"]
    assert quiet.seconds(21.0) == 3.0
    gathered.begin("killed", 23.0)
    gathered.end(99.0)
    gathered.end(100.0)
    assert quiet.seconds(50.0) == 5.0
    assert gathered.stages["killed"].spans == [(23.0, 99.0)]


def test_queries_are_those_of_the_stage_and_of_all_processes(gathered: Gathered) -> None:
    """Counters that every process tells now and then are told apart by stages, and added up."""
    for process, begun_with in enumerate((0, 1000)):
        gathered.service_pulse(process, service(10.0, queries=begun_with))
        gathered.service_pulse(process, service(12.0, queries=begun_with + 200))
        gathered.service_pulse(process, service(13.0, queries=begun_with + 600))
    gathered.begin("quiet", 10.0)
    gathered.begin("killed", 12.5)
    quiet, killed = gathered.stages["quiet"], gathered.stages["killed"]
    assert gathered.queries(quiet, 99.0) == pytest.approx(2 * 400)
    assert gathered.queries(killed, 13.0) == pytest.approx(2 * 200)


def test_nothing_is_known_before_both_were_heard(gathered: Gathered) -> None:
    """Totals need an answer and a service's report."""
    gathered.begin("quiet", 10.0)
    assert gathered.totals() is None
    gathered.load_pulse(load(answer(10.0)))
    assert gathered.totals() is None
    gathered.service_pulse(0, service(10.5))
    assert gathered.totals() is not None


def test_totals_are_of_everything_so_far(gathered: Gathered) -> None:
    """Answers, failures, reads and the last word of every process, in their order; or the latest answers alone."""
    gathered.begin("quiet", 10.0)
    for process in (1, 0):
        gathered.service_pulse(process, service(10.5, owed=process))
    for at in (10.0, 11.0, 12.0):
        gathered.load_pulse(load(answer(at), span_s=0.5, overlapping=1, failures=(Failure(at, "refused"),)))
    totals = gathered.totals()
    assert totals is not None
    assert (totals.requests, len(totals.answers), len(totals.failures), len(totals.read_s)) == (3, 3, 3, 4)
    assert (totals.overlapping, totals.span_s) == (3, 1.5)
    assert [pulse.owed for pulse in totals.services] == [0, 1]
    assert gathered.owed == 1
    assert gathered.rates == [2.0, 2.0, 2.0]
    latest = gathered.totals(latest=1)
    assert latest is not None
    assert latest.requests == 3
    assert [one.started_at for one in latest.answers] == [12.0]


def test_totals_do_not_grow(gathered: Gathered) -> None:
    """What was taken down at one moment stays as it was."""
    gathered.begin("quiet", 10.0)
    gathered.service_pulse(0, service(10.5))
    gathered.load_pulse(load(answer(10.0)))
    totals = gathered.totals()
    gathered.load_pulse(load(answer(11.0), failures=(Failure(11.0, "refused"),)))
    gathered.service_pulse(0, service(11.5))
    assert totals is not None
    assert (len(totals.answers), len(totals.failures), len(totals.read_s)) == (1, 0, 2)
    assert totals.services[0].at == 10.5
