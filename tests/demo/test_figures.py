"""A stage in figures."""

from __future__ import annotations

import pytest

from cacheaside.demo.figures import quantile_ms, stage_figures
from cacheaside.demo.gathered import Gathered
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Failure
from tests.demo.pulses import answer, load, service


def test_a_stage_is_told_in_rates_and_shares() -> None:
    """Answers and queries by the second, latencies, and where answers came from: a joined load is the database's."""
    gathered = Gathered()
    gathered.begin("quiet", 10.0)
    gathered.service_pulse(0, service(10.0, queries=100))
    gathered.service_pulse(0, service(12.0, queries=140))
    sources = ["l1"] * 5 + ["l2"] * 2 + ["joined"] + ["source"] * 2
    served = [answer(10.0, source=source, lasting=0.001 * n) for n, source in enumerate(sources, 1)]
    gathered.load_pulse(load(*served, failures=(Failure(10.5, "refused"),)))
    gathered.end(12.0)
    log = gathered.stages["quiet"]
    told = stage_figures(gathered, log, Findings(stale=3, beyond=1, alone=1, impossible=1), 99.0)
    assert (told.seconds, told.requests, told.requests_per_s, told.queries_per_s) == (2.0, 10, 5.0, 20.0)
    assert (told.from_l1, told.from_l2, told.from_database) == (0.5, 0.2, pytest.approx(0.3))
    assert (told.p50_ms, told.p99_ms) == (pytest.approx(6.0), pytest.approx(10.0))
    assert (told.failed, told.stale, told.beyond) == (1, 3, 3)


def test_a_stage_that_only_begins_has_no_figures_yet() -> None:
    """Without an answer and without time nothing is divided by."""
    gathered = Gathered()
    gathered.begin("quiet", 10.0)
    told = stage_figures(gathered, gathered.stages["quiet"], Findings(), 10.0)
    assert (told.requests_per_s, told.p99_ms, told.from_l1, told.queries_per_s) == (0.0, 0.0, 0.0, 0.0)


def test_a_quantile_is_one_of_the_durations() -> None:
    """The duration that a share does not exceed; none of none."""
    assert quantile_ms([], 0.5) == 0.0
    assert quantile_ms([0.001, 0.002, 0.003], 0.5) == 2.0
    assert quantile_ms([0.001, 0.002, 0.003], 1.0) == 3.0
