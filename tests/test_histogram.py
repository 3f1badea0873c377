"""Histograms against plain lists: nothing is lost, and no quantile is too small or far too large."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.histogram import Histogram

LONGEST_US = 2**42

durations = st.lists(
    st.integers(min_value=0, max_value=LONGEST_US - 1).map(lambda us: us / 1e6), min_size=1, max_size=60
)


def filled(seconds: list[float]) -> Histogram:
    histogram = Histogram()
    for one in seconds:
        histogram.record(one)
    return histogram


def exact_us(seconds: list[float], share: float) -> int:
    """The duration that `share` of the list does not exceed, in whole microseconds."""
    ordered = sorted(int(one * 1e6) for one in seconds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@given(durations, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_never_too_small_and_at_most_an_eighth_too_large(
    seconds: list[float], share: float
) -> None:
    """The quantile of the buckets lies between the true one and 12.5 % (or 1 µs) above it."""
    reported_us = round(filled(seconds).quantile_s(share) * 1e6)
    true_us = exact_us(seconds, share)
    assert true_us < reported_us <= max(true_us + 1, true_us * 1.125 + 1)


@given(durations)
def test_every_duration_is_in_one_bucket(seconds: list[float]) -> None:
    """Count, sum and buckets agree with the list that was recorded."""
    histogram = filled(seconds)
    buckets = list(histogram.buckets())
    assert histogram.count == sum(n for _, n in buckets) == len(seconds)
    assert histogram.sum_us == sum(int(one * 1e6) for one in seconds)
    assert buckets == sorted(buckets)
    assert histogram.mean_s == pytest.approx(sum(seconds) / len(seconds), abs=1e-6)


@given(durations, durations)
def test_adding_is_recording_both(a: list[float], b: list[float]) -> None:
    """Two histograms added are the histogram of both lists."""
    both, together = filled(a), filled(a + b)
    both.add(filled(b))
    assert list(both.buckets()) == list(together.buckets())
    assert (both.count, both.sum_us) == (together.count, together.sum_us)


@given(durations, st.integers(min_value=1, max_value=5))
def test_a_weight_is_so_many_durations(seconds: list[float], weight: int) -> None:
    """Recording with a weight is recording that many times."""
    weighted = Histogram()
    for one in seconds:
        weighted.record(one, weight)
    repeated = filled(seconds * weight)
    assert list(weighted.buckets()) == list(repeated.buckets())
    assert (weighted.count, weighted.sum_us) == (repeated.count, repeated.sum_us)


def test_buckets_touch_and_never_overlap() -> None:
    """Walking up microsecond by microsecond, edges only rise, and each duration is below its edge."""
    edges = []
    for us in range(5000):
        histogram = Histogram()
        histogram.record(us / 1e6 + 1e-9)
        ((edge, n),) = histogram.buckets()
        assert (us < edge, n) == (True, 1)
        edges.append(edge)
    assert edges == sorted(edges)
    assert all(edges[edge] > edge for edge in set(edges) if edge < len(edges)), (
        "an edge opens the next bucket"
    )


def test_what_is_out_of_range() -> None:
    """A negative duration counts as none, and one of more than 50 days in the last bucket."""
    histogram = filled([-1.0, 1e12])
    (first, _), (last, _) = histogram.buckets()
    assert first == 1
    assert 50 * 86400e6 < last <= LONGEST_US
    assert histogram.count == 2


def test_an_empty_histogram() -> None:
    """Nothing recorded is no buckets, and 0 for mean and quantiles."""
    histogram = Histogram()
    assert (list(histogram.buckets()), histogram.mean_s, histogram.quantile_s(0.99)) == ([], 0.0, 0.0)


def test_a_lost_count_leaves_no_quantile_without_answer(seed: int) -> None:
    """Counters that threads left apart give a quantile all the same."""
    numbers = random.Random(seed)
    histogram = filled([numbers.random() for _ in range(100)])
    histogram.count += 1
    assert histogram.quantile_s(1.0) >= histogram.quantile_s(0.5) > 0
