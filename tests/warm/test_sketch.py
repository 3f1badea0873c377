"""The sketch of heat: small, never too large a count, and it finds what is asked for most."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.warm.sketch import Sketch

SEED = 20


def zipf(keys: int, reads: int, exponent: float, seed: int) -> list[int]:
    """A seeded trace in which the k-th key is asked for as often as 1 / k^exponent."""
    weights = list(itertools.accumulate(1 / k**exponent for k in range(1, keys + 1)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=reads)


def counted(trace: list[int], counters_max: int) -> Sketch[int]:
    """A sketch of `trace`, trimmed whenever it is full."""
    sketch: Sketch[int] = Sketch(counters_max, 3600.0, 0.0)
    for key in trace:
        assert sketch.add(key)
        if sketch.is_full:
            sketch.trim()
    return sketch


@pytest.mark.parametrize(("exponent", "least"), [(0.8, 0.85), (1.0, 0.95), (1.2, 0.98)])
def test_it_finds_the_true_top_of_a_zipf_trace(exponent: float, least: float) -> None:
    """With 4,000 counters for 50,000 keys, nearly all of the 500 that are asked for most are found."""
    print("seed", SEED)
    trace = zipf(50_000, 300_000, exponent, SEED)
    true = {key for key, _ in Counter(trace).most_common(500)}
    found = {key for key, _ in counted(trace, 4_000).top(500)}
    recall = len(true & found) / len(true)
    print(f"recall {recall:.3f} at exponent {exponent}")
    assert recall >= least


def test_a_shift_of_popularity_is_followed_within_some_half_lives() -> None:
    """What was hot before is below what is hot now, after it faded, though it was asked for more often in all."""
    sketch: Sketch[str] = Sketch(100, half_life_s=60.0, now=0.0)
    sketch.add("old", 1000.0)
    sketch.age(600.0)
    sketch.add("new", 2.0)
    assert [key for key, _ in sketch.top(2)] == ["new", "old"]


@given(
    work=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=300),
    counters_max=st.integers(1, 20),
)
def test_no_count_is_too_large_nor_smaller_than_it_says(
    work: list[tuple[int, int]], counters_max: int
) -> None:
    """Each count is the true one or less, by at most `offset`, which is about 2 W / counters_max at most; a key that is
    not there was counted no more than that."""
    sketch: Sketch[int] = Sketch(counters_max, 3600.0, 0.0)
    true: Counter[int] = Counter()
    for key, weight in work:
        assert sketch.add(key, weight)
        true[key] += weight
        sketch.trim()
        assert len(sketch) <= counters_max
    found = dict(sketch.top(len(true) + 1))
    for key, count in true.items():
        assert found.get(key, 0.0) <= count <= found.get(key, 0.0) + sketch.offset
    assert sketch.offset <= 2.01 * true.total() / counters_max


@given(st.lists(st.integers(0, 50), max_size=100), st.floats(0.0, 1e5))
def test_fading_keeps_the_order(keys: list[int], passed_s: float) -> None:
    """All counts fade alike, so what was hotter stays hotter, and what is left of nothing goes."""
    sketch: Sketch[int] = Sketch(1000, 600.0, 0.0)
    for key in keys:
        sketch.add(key)
    before = [key for key, _ in sketch.top(1000)]
    gone = sketch.age(passed_s)
    after = [key for key, _ in sketch.top(1000)]
    assert after == before[: len(after)]
    assert set(gone) | set(after) == set(keys)


def test_where_all_are_equally_hot_some_stay() -> None:
    """Keys that were asked for once each, more of them than counters, leave a sketch of the younger ones, not an empty
    one."""
    sketch = counted(list(range(1000)), 100)
    assert 25 <= len(sketch) <= 100
    assert {key for key, _ in sketch.top(25)} <= set(range(800, 1000))


def test_new_keys_between_two_trims_are_bounded() -> None:
    """A flood of new keys takes twice the counters at most; what is dropped is counted, and known keys still count."""
    sketch: Sketch[int] = Sketch(10, 3600.0, 0.0)
    taken = [sketch.add(key) for key in range(100)]
    assert sum(taken) == len(sketch) == 20
    assert sketch.dropped == 80
    assert sketch.add(0)


def test_a_clock_that_goes_back_fades_nothing() -> None:
    """A moment before the last one is no time passed."""
    sketch: Sketch[str] = Sketch(10, 60.0, 1000.0)
    sketch.add("k", 8.0)
    assert sketch.age(0.0) == []
    assert sketch.top(1) == [("k", 8.0)]
