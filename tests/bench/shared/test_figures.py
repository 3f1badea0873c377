"""What the server counted, as the benchmark counts it."""

from __future__ import annotations

import pytest

from bench.shared.figures import counted, counts
from bench.shared.quantiles import quantile

STATS = (
    "# Commandstats\r\n"
    "cmdstat_get:calls=3,usec=12,usec_per_call=4.00,rejected_calls=0,failed_calls=0\r\n"
    "cmdstat_client|setinfo:calls=2,usec=2,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"
    "cmdstat_client|tracking:calls=5,usec=2,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"
)


def test_subcommands_count_for_their_command() -> None:
    """The two subcommands of CLIENT are seven calls of it."""
    assert counts(STATS) == {"get": 3, "client": 7}


def test_only_the_work_between_two_counts_is_counted() -> None:
    """Calls before the first count, set-up and heartbeats are left out; what was asked for most comes first."""
    before = {"get": 3, "client": 7}
    after = {"get": 4, "client": 900, "ping": 80, "info": 2, "time": 9, "hello": 4, "mget": 6, "del": 0}
    assert list(counted(before, after).items()) == [("mget", 6), ("get", 1)]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.995, 100.0), (1.0, 100.0)]
)
def test_a_quantile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    """Of 1 to 100, half do not exceed 50, and 99 of a hundred do not exceed 99."""
    assert quantile([float(value) for value in range(1, 101)], share) == expected
