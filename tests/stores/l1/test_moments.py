"""Moments that entries share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.stores.l1.moments import GRAIN_MAX_S, SAMPLE_S, Moments

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(times=TIMES, ttl_s=st.floats(1e-3, 1e6))
def test_a_shared_load_moment_is_never_later_nor_much_earlier(times: list[float], ttl_s: float) -> None:
    """An entry may count as a little older than it is, and never as younger, whatever order loads land in."""
    moments = Moments()
    for moment in times:
        shared = moments.loaded_at(moment, ttl_s)
        assert 0.0 <= moment - shared <= min(GRAIN_MAX_S, ttl_s / 1024)


@given(times=TIMES)
def test_a_shared_sample_moment_lies_ahead_but_not_far(times: list[float]) -> None:
    """Every entry leaves the fast path within a sampling period, and not at once, even if the clock is set anew."""
    moments = Moments()
    for now in times:
        assert now + SAMPLE_S / 2 <= moments.sample_at(now) <= now + SAMPLE_S


def test_moments_close_together_are_one_object() -> None:
    """Sharing is what saves the memory."""
    moments = Moments()
    assert moments.loaded_at(100.0, 60.0) is moments.loaded_at(100.0 + 0.01, 60.0)
    assert moments.sample_at(100.0) is moments.sample_at(100.0 + 0.01)
