"""The clock of a shared server: bounds that hold whatever the network and the clocks do, and steps that are noticed."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.timebase import DRIFT, STEP_COVERED_S, Reading, Sampled, Timebase, sampled

ROUNDING_S = 2e-6
"""What floats of the size of a date are exact to, several times over."""

dates = st.floats(-1e6, 2e9)
readings_of_anything = st.lists(
    st.builds(
        lambda pause_s, took_s, ahead_s: (pause_s, took_s, ahead_s),
        st.floats(0, 100),
        st.floats(0, 5),
        st.floats(-10, 10),
    ),
    min_size=1,
    max_size=12,
)


class Heartbeat(NamedTuple):
    """Sent after a pause, answered in between, received; and at what rate the clocks run apart meanwhile."""

    pause_s: float
    there_s: float
    back_s: float
    apart: float


heartbeats = st.builds(
    Heartbeat,
    st.floats(0, 1000),
    st.floats(1e-5, 10),
    st.floats(1e-5, 10),
    st.floats(-0.99 * DRIFT, 0.99 * DRIFT),
)


def told(
    ahead_s: float, beats: list[Heartbeat], base: Timebase | None = None, now: float = 0.0
) -> tuple[list[tuple[Sampled, float]], float]:
    """What is known after each of `beats`, beside by how much the server's clock is ahead then; and the time."""
    known: list[tuple[Sampled, float]] = []
    for beat in beats:
        ahead_s += beat.apart * beat.pause_s
        sent = now = now + beat.pause_s
        ahead_s += beat.apart * beat.there_s
        now += beat.there_s
        said = now + ahead_s
        ahead_s += beat.apart * beat.back_s
        now += beat.back_s
        taken = sampled(base, Reading(sent, now, said))
        base = taken.base
        known.append((taken, ahead_s))
    return known, now


@given(dates, st.lists(heartbeats, min_size=1, max_size=20))
def test_the_bounds_contain_the_truth(ahead_s: float, beats: list[Heartbeat]) -> None:
    """Whatever delays the network has, and however two clocks within DRIFT run apart, the offset is between the bounds
    after every reading."""
    for (base, *_), true_s in told(ahead_s, beats)[0]:
        assert base.low_s - ROUNDING_S <= true_s <= base.high_s + ROUNDING_S


@given(dates, st.lists(heartbeats, min_size=1, max_size=20))
def test_a_clock_that_was_not_set_raises_no_alarm(ahead_s: float, beats: list[Heartbeat]) -> None:
    """Delays and drift alone are never taken for a step, in either direction, and cost no slack."""
    for taken, _ in told(ahead_s, beats)[0]:
        assert taken[1:] == (0.0, False)
        assert (taken.base.slack_s, taken.base.set_back_s) == (0.0, 0.0)


@given(dates, st.lists(heartbeats, min_size=1, max_size=8), st.floats(-100, 1000))
def test_between_readings_the_bounds_still_hold(
    ahead_s: float, beats: list[Heartbeat], later_s: float
) -> None:
    """Before and after a reading, at any distance, what the clock can have said at the earliest and the latest includes
    what it said."""
    known, now = told(ahead_s, beats)
    (base, *_), true_s = known[-1]
    for apart in (-0.99 * DRIFT, 0.0, 0.99 * DRIFT):
        at = now + later_s
        said = at + true_s + apart * later_s
        assert base.earliest_s(at) <= said + ROUNDING_S
        assert said - base.lag_s(at) <= at + ROUNDING_S


@given(
    dates,
    st.lists(heartbeats, min_size=2, max_size=10),
    st.lists(heartbeats, min_size=1, max_size=10),
    st.data(),
)
def test_an_entry_of_another_process_is_never_taken_for_younger(
    ahead_s: float, writers: list[Heartbeat], readers: list[Heartbeat], data: st.DataObject
) -> None:
    """What one process stored under the earliest moment, another counts as at least as old as it is by the server's
    clock, whatever the two know of that clock."""
    known, now = told(ahead_s, writers)
    (writer, *_), true_s = known[-1]
    stored_as = writer.earliest_s(now)
    began_s = now + true_s
    # The reader's own clock began elsewhere: its offset to the same server clock is another.
    shift_s = data.draw(st.floats(-1e6, 1e6))
    reader_known, reader_now = told(true_s + shift_s, readers, now=now - shift_s)
    (reader, *_), reader_true_s = reader_known[-1]
    age_s = reader_now - (stored_as - reader.lag_s(reader_now))
    assert age_s >= (reader_now + reader_true_s) - began_s - ROUNDING_S


@given(readings_of_anything)
def test_no_clock_makes_a_processs_own_entries_younger(steps: list[tuple[float, float, float]]) -> None:
    """Whatever a server's clock says, set as often and as far as it may be, an entry that this process stored is never
    younger to it than it is, but for DRIFT of its age, unless everything is to be forgotten; and not even then by
    `lag_of_old_s`, by which what is known to be out of date is served."""
    base: Timebase | None = None
    now = 0.0
    kept: list[tuple[float, float, bool]] = []
    for pause_s, took_s, ahead_s in steps:
        now += pause_s + took_s
        base, set_back_s, _ = sampled(base, Reading(now - took_s, now, now + ahead_s))
        kept = [(stored_as, began, forgotten or set_back_s > 0) for stored_as, began, forgotten in kept]
        kept.append((base.earliest_s(now), now, False))
        for stored_as, began, forgotten in kept:
            latest = began + DRIFT * (now - began) + ROUNDING_S
            assert stored_as - base.lag_of_old_s(now) <= latest
            if not forgotten:
                assert stored_as - base.lag_s(now) <= latest


def test_readings_narrow_the_bounds_and_time_widens_them() -> None:
    """A first reading leaves as much open as it took; a quicker one less; and a second of waiting DRIFT on each
    side."""
    slow = sampled(None, Reading(0.0, 1.0, 100.5)).base
    assert slow.high_s - slow.low_s == pytest.approx(1.0 + 2 * DRIFT)
    quick = sampled(slow, Reading(1.0, 1.01, 101.0)).base
    assert quick.high_s - quick.low_s <= 0.01 * (1 + 2 * DRIFT) + ROUNDING_S
    assert quick.earliest_s(1.01) - quick.earliest_s(0.01) == pytest.approx(1.0 + DRIFT)
    assert quick.lag_s(2.01) - quick.lag_s(1.01) == pytest.approx(DRIFT)


def exact(base: Timebase | None, at: float, ahead_s: float) -> Sampled:
    """After a reading that took a hundredth of a second, with the server's clock ahead by `ahead_s`."""
    return sampled(base, Reading(at, at + 0.01, at + 0.005 + ahead_s))


@given(st.floats(0.03, 1e6), st.booleans())
def test_a_step_beyond_what_is_uncertain_is_noticed(step_s: float, forward: bool) -> None:
    """A clock that was set by more than the bounds leave open is noticed at the next reading, in its direction."""
    before = exact(None, 0.0, 50.0).base
    after = exact(before, 0.1, 50.0 + (step_s if forward else -step_s))
    assert after.set_forward is forward
    grown_s = after.base.slack_s + after.base.set_back_s
    assert (grown_s == 0.0) if forward else (step_s - 0.03 < grown_s <= step_s + 0.03)
    assert (after.set_back_s > 0) is (not forward and grown_s > STEP_COVERED_S)
    assert after.base.low_s <= 50.0 + (step_s if forward else -step_s) <= after.base.high_s


def test_small_steps_back_are_covered_for_good() -> None:
    """Steps that add up to no more than STEP_COVERED_S ask nobody to forget anything; the slack covers all of them,
    now and after any number of readings."""
    base = exact(None, 0.0, 50.0).base
    ahead_s = 50.0
    for turn in range(4):
        ahead_s -= 0.05
        base, set_back_s, set_forward = exact(base, turn + 1.0, ahead_s)
        assert (set_back_s, set_forward) == (0.0, False)
    assert STEP_COVERED_S >= base.slack_s >= 0.2 - 4 * 0.03
    assert base.lag_s(5.0) >= 50.0 - ROUNDING_S, "an entry of before the steps is as old as ever"
    for turn in range(5, 50):
        after = exact(base, float(turn), ahead_s)
        assert after.base.slack_s == base.slack_s
        base = after.base


def test_the_step_that_is_too_much_is_said_with_those_before_it() -> None:
    """Once small steps add up to more than is covered, the sum is told, so that everything is forgotten."""
    base = exact(None, 0.0, 50.0).base
    told_s = 0.0
    for turn, ahead_s in enumerate(accumulate([-0.1] * 3, initial=50.0)):
        base, told_s, _ = exact(base, turn + 1.0, ahead_s)
        if told_s:
            break
    assert STEP_COVERED_S < told_s < 0.3 + 3 * 0.03
    assert base.set_back_s == pytest.approx(told_s - base.slack_s)


def test_what_is_out_of_date_remembers_every_step() -> None:
    """`lag_of_old_s` goes on covering large steps back, after any number of them; `lag_s` does not."""
    base = exact(None, 0.0, 50.0).base
    for turn, ahead_s in enumerate((40.0, 30.0, 20.0)):
        base = exact(base, turn + 1.0, ahead_s).base
    assert base.lag_of_old_s(4.0) >= 50.0 - ROUNDING_S
    assert base.lag_s(4.0) < 21.0


def test_a_step_forward_covers_nothing() -> None:
    """Set forward, everything only looks older: no slack, and nothing to add for what is out of date."""
    base = exact(None, 0.0, 50.0).base
    after = exact(base, 1.0, 60.0)
    assert (after.set_forward, after.set_back_s) == (True, 0.0)
    assert (after.base.slack_s, after.base.set_back_s) == (0.0, 0.0)
