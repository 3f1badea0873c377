"""The adaptive limit: what moves it, and what must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.limiting import KINDS_MAX, PROBE_WINDOWS, AdaptiveLimit

ALONE_S = 0.01


def windows(
    limit: AdaptiveLimit, number: int, took_s: float, *, beside: int | None = None, reached: bool = True
) -> None:
    """Loads for `number` windows of two for each that may be under way, at the limit unless told."""
    for _ in range(number * 200):
        if reached:
            limit.reached()
        limit.answered("kind", took_s, limit.allowed if beside is None else beside)


def learnt(floor: int = 4, ceiling: int = 64) -> AdaptiveLimit:
    """A limit that knows how long a load takes nearly alone."""
    limit = AdaptiveLimit(floor, ceiling)
    windows(limit, 1, ALONE_S, beside=1, reached=False)
    return limit


def test_it_begins_at_the_ceiling() -> None:
    """What was declared to be safe is used until there is evidence against it."""
    assert AdaptiveLimit(4, 64).allowed == 64


def test_it_comes_down_when_loads_take_longer_the_more_there_are() -> None:
    """Loads that take three times as long as nearly alone say that two thirds of them wait in the source."""
    limit = learnt()
    for _ in range(2_000):
        limit.reached()
        limit.answered("kind", ALONE_S * max(1.0, limit.allowed / 20), limit.allowed)
    assert 18 <= limit.limit <= 28


def test_it_rises_again_when_they_do_not() -> None:
    """A source that can take more again gets more, up to the ceiling and no further."""
    limit = learnt()
    windows(limit, 2, 4 * ALONE_S)
    low = limit.limit
    assert low < 60
    windows(limit, 60, ALONE_S)
    assert limit.limit == 64.0


def test_it_does_not_rise_while_it_is_not_reached() -> None:
    """Few quick loads prove nothing about many at once."""
    limit = learnt()
    windows(limit, 2, 4 * ALONE_S)
    windows(limit, 1, 4 * ALONE_S, reached=False)  # whatever window was begun has ended
    low = limit.limit
    windows(limit, 50, ALONE_S, beside=int(low * 0.8), reached=False)
    assert limit.limit == low
    assert not limit.probing


def test_one_outlier_moves_nothing() -> None:
    """One load of an hour in each window counts as four, so the limit stays where it was."""
    limit = learnt()
    for number in range(3_000):
        limit.reached()
        limit.answered("kind", 3600.0 if number % 100 == 0 else ALONE_S, limit.allowed)
    assert limit.limit > 60


def test_slow_kinds_among_quick_ones_are_no_queue() -> None:
    """A report that always takes a second is not compared with a row that takes ten milliseconds, nor a batch of a
    thousand with a batch of two."""
    limit = AdaptiveLimit(4, 64)
    for _ in range(30):
        limit.answered("row", 0.01, 1)
        limit.answered("report", 1.0, 1)
    for _ in range(2_000):
        limit.reached()
        limit.answered("row", 0.01, limit.allowed)
    for _ in range(2_000):
        limit.reached()
        limit.answered("report", 1.0, limit.allowed)
    assert limit.limit > 60


def test_a_source_that_became_slower_is_not_taken_for_one_with_a_queue() -> None:
    """Where every load takes three times as long, however few there are, the limit goes down and comes back."""
    limit = learnt()
    windows(limit, 4, 3 * ALONE_S)
    windows(limit, 300, 3 * ALONE_S)
    assert limit.limit > 50
    assert limit.probes > 1


def test_signs_of_overload_shrink_it_at_once() -> None:
    """A tenth of a window with timeouts is enough; the floor holds."""
    limit = learnt()
    for _ in range(13):
        limit.overloaded()
    assert limit.limit == pytest.approx(64 * 0.7)
    for _ in range(1_000):
        limit.overloaded()
    assert limit.limit == limit.allowed == 4


def test_a_single_timeout_is_none() -> None:
    """One timeout among many answers does not shrink it."""
    limit = learnt()
    for number in range(1_000):
        limit.reached()
        if number % 100 == 50:
            limit.overloaded()
        else:
            limit.answered("kind", ALONE_S, limit.allowed)
    assert limit.backed_off == 0


def test_a_probe_halves_it_for_a_moment() -> None:
    """Under pressure the limit is halved now and then, to find out how long a load takes nearly alone."""
    limit = learnt()
    seen = set()
    for _ in range((PROBE_WINDOWS + 5) * 130):
        limit.reached()
        limit.answered("kind", ALONE_S, limit.allowed)
        seen.add(limit.allowed)
    assert seen == {64, 32}
    assert limit.allowed == 64


def test_the_kinds_it_remembers_are_bounded() -> None:
    """However many kinds of loads there are, so many have a norm, and of the others nothing is learnt."""
    limit = AdaptiveLimit(1, 8)
    for kind in range(10 * KINDS_MAX):
        limit.answered(kind, 1.0, 1)
    assert len(limit._norms) == KINDS_MAX


@given(
    st.integers(1, 8),
    st.integers(0, 60),
    st.lists(st.tuples(st.sampled_from("arx"), st.floats(0, 1e6), st.integers(1, 70)), max_size=300),
)
def test_whatever_it_is_told_it_stays_between_floor_and_ceiling(
    floor: int, more: int, told: list[tuple[str, float, int]]
) -> None:
    """Times of zero, of days, overloads in any order: floor <= what is allowed <= ceiling."""
    limit = AdaptiveLimit(floor, floor + more)
    for what, took_s, beside in told:
        if what == "a":
            limit.answered("kind", took_s, beside)
        elif what == "r":
            limit.reached()
        else:
            limit.overloaded()
        assert floor <= limit.allowed <= floor + more
