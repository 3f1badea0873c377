"""How long a lease lasts, and how long others wait for its holder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.leasing import LEASE_MIN_S, lease_s, patience_s

loads = st.floats(0, 1e4)
timeouts = st.floats(0.01, 1e4)


@given(loads, timeouts)
def test_a_lease_is_never_longer_than_a_load_may_take(mean_load_s: float, timeout_s: float) -> None:
    """Whoever holds it longer than its timeout is not loading any more; and it always lasts at all."""
    assert 0 < lease_s(mean_load_s, timeout_s) <= timeout_s


@given(loads, timeouts)
def test_a_lease_leaves_room_for_a_slow_load(mean_load_s: float, timeout_s: float) -> None:
    """Where the timeout allows it, it lasts several usual loads, and no less than LEASE_MIN_S."""
    lasts_s = lease_s(mean_load_s, timeout_s)
    assert lasts_s == timeout_s or lasts_s >= max(LEASE_MIN_S, 3 * mean_load_s)


@given(loads, loads, timeouts)
def test_slower_loads_never_have_shorter_leases(one_s: float, other_s: float, timeout_s: float) -> None:
    """With the mean load the lease grows, or stays."""
    quick, slow = sorted((one_s, other_s))
    assert lease_s(quick, timeout_s) <= lease_s(slow, timeout_s)


@given(loads, timeouts)
def test_who_waits_outlasts_a_holder_that_died_and_still_loads_in_time(
    mean_load_s: float, timeout_s: float
) -> None:
    """Patience is longer than one lease, unless that would leave less than half of the timeout for a load."""
    lasts_s = lease_s(mean_load_s, timeout_s)
    waits_s = patience_s(lasts_s, timeout_s)
    assert waits_s <= timeout_s / 2
    assert waits_s > lasts_s or waits_s == timeout_s / 2
