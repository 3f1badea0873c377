"""When a drill is called off."""

from __future__ import annotations

import pytest

from cacheaside.drill.aborting import reason_to_abort
from cacheaside.drill.series import Answer, Reading, Record
from cacheaside.drill.settings import Abort


def record(failed: int = 0, of: int = 100, wait_s: float = 0.01, running: int = 1, at: float = 9.0) -> Record:
    found = Record()
    found.add(Answer(at - wait_s, at, "failed" if number < failed else "l1") for number in range(of))
    found.readings.append(Reading(at, running, 1))
    return found


@pytest.mark.parametrize(
    ("abort", "calm", "wild"),
    [
        (Abort(errors=0.1), record(failed=10), record(failed=11)),
        (Abort(p99_s=1.0), record(wait_s=0.9), record(wait_s=1.1)),
        (Abort(running=8), record(running=8), record(running=9)),
    ],
)
def test_each_condition_calls_off_beyond_its_bound(abort: Abort, calm: Record, wild: Record) -> None:
    """At its bound a drill goes on, beyond it there is a reason in words."""
    assert reason_to_abort(abort, calm, 0.0, 10.0) is None
    assert "more than" in str(reason_to_abort(abort, wild, 0.0, 10.0))


def test_when_it_is_called_off_is_a_sentence() -> None:
    """A dry run says under which conditions, and where there are none, that it runs to its end and what to give."""
    assert str(Abort(errors=0.05, p99_s=2.0)) == (
        "call it off and restore, when more than 5% of requests fail or come too late, or p99 is above 2 s, over 2 s"
    )
    assert str(Abort()).startswith("let it run to its end: no --abort-errors, ")


def test_what_is_long_over_is_no_reason() -> None:
    """Only the last seconds count."""
    assert (
        reason_to_abort(Abort(errors=0.1, running=8), record(failed=50, running=90, at=5.0), 0.0, 10.0)
        is None
    )


def test_what_was_before_the_load_began_is_no_reason() -> None:
    """A cache that is being filled asks its source for much."""
    assert reason_to_abort(Abort(errors=0.1, running=8), record(failed=50, running=90), 9.5, 10.0) is None


def test_a_few_requests_say_nothing() -> None:
    """One failure of three is no failure rate."""
    assert reason_to_abort(Abort(errors=0.1), record(failed=1, of=3), 0.0, 10.0) is None


def test_without_conditions_nothing_is_called_off() -> None:
    """The drill's own servers may burn."""
    assert reason_to_abort(Abort(), record(failed=100, running=10_000), 0.0, 10.0) is None
