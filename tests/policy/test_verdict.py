"""THE table: every state has a verdict, and only what may be served is."""

from __future__ import annotations

import pytest

from cacheaside.lookup import Forward, Served
from cacheaside.policy.freshness import Freshness
from cacheaside.policy.verdict import FORWARD, RULES, SERVED, Verdict


@pytest.mark.parametrize(
    ("freshness", "verdict"),
    [
        (Freshness.FRESH, Verdict.SERVE),
        (Freshness.STALE, Verdict.SERVE_AND_REFRESH),
        (Freshness.OUTDATED, Verdict.SERVE_AND_REFRESH),
        (Freshness.EXPIRED, Verdict.FILL),
        (Freshness.INVALIDATED, Verdict.FILL),
        (Freshness.ABSENT, Verdict.FILL),
    ],
)
def test_each_state_has_its_verdict(freshness: Freshness, verdict: Verdict) -> None:
    """What is within its window is served, and refreshed when it is not fresh; all else waits for one load."""
    assert RULES[freshness] is verdict


def test_the_tables_are_complete() -> None:
    """Each state has a verdict; those that are served have a name for it, those that are not have a reason."""
    assert set(RULES) == set(Freshness)
    served = {state for state, verdict in RULES.items() if verdict is not Verdict.FILL}
    assert set(SERVED) == served
    assert set(FORWARD) == set(Freshness) - served
    assert len(set(SERVED.values())) == len(SERVED)
    assert len(set(FORWARD.values())) == len(FORWARD)


def test_the_words_that_the_tables_do_not_give_come_from_elsewhere() -> None:
    """Loads, reads that ask for the source and what L1 remembers of evictions are named where they happen."""
    assert set(Served) - set(SERVED.values()) == {Served.LOADED, Served.COLLAPSED}
    assert set(Forward) - set(FORWARD.values()) == {
        Forward.EVICTED,
        Forward.STRONG,
        Forward.BYPASS,
        Forward.AWAY,
        Forward.NESTED,
    }
