"""Zipf's law."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from cacheaside.demo.popularity import Zipf


def test_shares_follow_the_law(seed: int) -> None:
    """The k-th thing is drawn about 1/k as often as the first."""
    drawn = Zipf("abcd", 1.0, Random(seed))
    counts = Counter(drawn.draw() for _ in range(25_000))
    weights = {"a": 12, "b": 6, "c": 4, "d": 3}
    assert {thing: round(counts[thing] / 1000) for thing in "abcd"} == pytest.approx(weights, abs=1)


def test_the_same_seed_draws_the_same(seed: int) -> None:
    """Two drawers with the same seed agree on every draw."""
    one, other = (Zipf(range(1000), 0.99, Random(seed)) for _ in range(2))
    assert [one.draw() for _ in range(100)] == [other.draw() for _ in range(100)]


def test_the_last_edge_still_draws_the_last_thing() -> None:
    """A chance just below 1 draws the last thing, whatever rounding does to the sum."""

    class Almost(Random):
        def random(self) -> float:
            return 1.0

    assert Zipf("ab", 0.99, Almost()).draw() == "b"


def test_nothing_cannot_be_drawn_from() -> None:
    """An empty choice is an error at once."""
    with pytest.raises(ValueError, match="nothing"):
        Zipf([], 1.0, Random(0))
