"""How much of a limit a cold process may use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.slow_start import slow_start_most


@given(st.integers(1, 10_000), st.floats(-10.0, 200.0), st.floats(0.0, 100.0), st.floats(0.1, 100.0))
def test_it_only_rises_and_stays_within_its_bounds(
    most: int, at_s: float, later_s: float, over_s: float
) -> None:
    """At any time at least one load, at most the limit, and never fewer than before."""
    now, then = slow_start_most(most, at_s, over_s), slow_start_most(most, at_s + later_s, over_s)
    assert 1 <= now <= then <= most


@pytest.mark.parametrize(("since_s", "allowed"), [(-5, 8), (0, 8), (10, 16), (20, 32), (30, 64), (31, 64)])
def test_it_doubles_three_times(since_s: float, allowed: int) -> None:
    """From an eighth to all, by the end."""
    assert slow_start_most(64, since_s, 30.0) == pytest.approx(allowed, abs=1)
