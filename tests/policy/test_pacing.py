"""How many refreshes may load: who waits for a load comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.pacing import may_refresh, refreshes_at_once

MOST = st.integers(1, 1000)


@given(most=MOST)
def test_a_quarter_is_kept_free(most: int) -> None:
    """Refreshes never get more than three quarters of the turns, nor all of them."""
    assert refreshes_at_once(most) <= most * 3 / 4
    assert most == 1 or 1 <= refreshes_at_once(most) < most


@given(most=MOST, holding=st.integers(0, 1000), refreshing=st.integers(1, 1000), waiting=st.integers(1, 100))
def test_who_waits_comes_first(most: int, holding: int, refreshing: int, waiting: int) -> None:
    """While somebody waits for a turn, no second refresh begins."""
    assert not may_refresh(refreshing, holding, waiting, most)


@given(most=st.integers(2, 1000), waiting=st.integers(0, 100))
def test_refreshes_go_on_at_a_source_that_is_always_busy(most: int, waiting: int) -> None:
    """One refresh may always begin, where there is more than one turn."""
    assert may_refresh(0, most, waiting, most)


@given(most=MOST)
def test_alone_they_take_their_share(most: int) -> None:
    """While nobody else loads, as many begin as may be at once, and no more."""
    begun = 0
    while may_refresh(begun, begun, 0, most):
        begun += 1
    assert begun == max(1, refreshes_at_once(most))


def test_the_only_turn_is_taken_when_nobody_wants_it() -> None:
    """Where there is one turn, a refresh takes it only when nobody has it or waits for it."""
    assert may_refresh(0, 0, 0, 1)
    assert not any((may_refresh(0, 1, 0, 1), may_refresh(0, 0, 1, 1), may_refresh(1, 0, 0, 1)))
