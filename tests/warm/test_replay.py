"""The course of a warm-up, told the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Lookup, NotStored, Served, Tier
from cacheaside.warm.replay import AWAY_RETRY_S, FAILURES_MAX, POLL_S, REFUSALS_MAX, Replay, Unfit, Went


def replay(
    items: int = 10,
    *,
    at_once: int = 4,
    per_second: float | None = None,
    until: float = 1000.0,
    resolve: Callable[[int], str] = str,
) -> Replay[int, str]:
    return Replay(list(range(items)), resolve, at_once=at_once, per_second=per_second, now=0.0, until=until)


def answer(tier: Tier = Tier.SOURCE, not_stored: NotStored | None = None) -> Went:
    served = Served.LOADED if tier is Tier.SOURCE else Served.FRESH
    found: Lookup[Any] = Lookup(1, served, None, tier, 0.0, 1.0, not_stored=not_stored)
    return Went(answer=found)


def take(one: Replay[int, str], now: float = 0.0) -> str:
    """What is to be read now; the test has said that there is something."""
    found = one.take(now)
    assert isinstance(found, str)
    return found


def test_no_more_than_at_once_are_under_way() -> None:
    """With so many under way the next one waits, and goes when one has ended; the report has the peak."""
    one = replay(at_once=2)
    first = take(one)
    take(one)
    assert one.take(0.0) == POLL_S
    one.went(first, answer(), began=0.0, now=0.1)
    assert take(one, 0.1) == "2"
    assert one.report(0.1).peak_at_once == 2


def test_reads_keep_to_the_pace() -> None:
    """With ten a second, the n-th read is not begun before n tenths of a second."""
    one = replay(per_second=10.0)
    assert take(one) == "0"
    wait_s = one.take(0.0)
    assert wait_s == pytest.approx(0.1)
    assert take(one, 0.1) == "1"
    assert take(one, 5.0) == "2"
    take(one, 5.0)  # one that is owed, and no burst of fifty
    assert isinstance(one.take(5.0), float)


def test_a_refusal_pauses_all_and_halves_how_many_go_on() -> None:
    """After `Overloaded` nothing is begun before retry_after_s is over; then half as many are; the key comes again."""
    one = replay(at_once=4)
    taken = [take(one) for _ in range(4)]
    for what in taken:  # refused together: that is one refusal
        one.went(what, Went(retry_after_s=2.0), began=0.0, now=1.0)
    assert isinstance(one.take(2.9), float)
    assert [take(one, 3.0), take(one, 3.0)] == taken[:2]
    assert one.take(3.0) == POLL_S
    one.went(taken[0], answer(), began=3.0, now=3.1)
    assert [take(one, 3.1), take(one, 3.1)] == taken[2:]  # each answer allows one more
    assert one.report(3.1).refused == 4


def test_a_source_that_goes_on_refusing_ends_it() -> None:
    """After `REFUSALS_MAX` pauses in a row without an answer it gives up, and says why."""
    one = replay(at_once=1)
    now = 0.0
    for _ in range(REFUSALS_MAX):
        one.went(take(one, now), Went(retry_after_s=1.0), began=now, now=now)
        now += 1.0
    assert one.take(now) is None
    report = one.report(now)
    assert (report.stopped, report.refused, report.left) == ("refused", REFUSALS_MAX, 10)


def test_what_the_tier_does_not_take_is_loaded_again_a_few_times() -> None:
    """A load whose value the shared tier did not take was in vain: the key comes again after a pause, and where that
    goes on it ends."""
    one = replay(1, at_once=1)
    now = 0.0
    for _ in range(REFUSALS_MAX - 1):
        one.went(take(one, now), answer(not_stored=NotStored.AWAY), began=now, now=now)
        assert isinstance(one.take(now), float)
        now += AWAY_RETRY_S
    one.went(take(one, now), answer(), began=now, now=now)
    assert (one.report(now).loaded, one.report(now).stopped) == (1, None)

    one = replay(1, at_once=1)
    for at in range(REFUSALS_MAX):
        one.went(take(one, at), answer(not_stored=NotStored.AWAY), began=at, now=at)
    report = one.report(now)
    assert (report.stopped, report.refused, report.left) == ("away", 0, 1)


def test_a_source_that_goes_on_failing_ends_it() -> None:
    """After `FAILURES_MAX` keys in a row that failed, the rest is not asked for."""
    one = replay(100, at_once=1)
    for _ in range(FAILURES_MAX):
        one.went(take(one), Went(error="product: OperationalError"), began=0.0, now=0.0)
    assert one.take(0.0) is None
    report = one.report(0.0)
    assert report.stopped == "failing"
    assert report.failed == {"product: OperationalError": FAILURES_MAX}


def test_it_ends_when_its_time_is_over() -> None:
    """At `until` nothing more is begun; what is left is counted."""
    one = replay(until=1.0)
    one.went(take(one, 0.9), answer(), began=0.9, now=0.95)
    assert one.take(1.0) is None
    assert (one.report(1.0).stopped, one.report(1.0).left) == ("time", 9)


def test_a_list_that_is_done_in_time_was_not_stopped() -> None:
    """Its end is no early end, though the time be over when the last answer comes."""
    one = replay(1, until=1.0)
    one.went(take(one), answer(), began=0.0, now=2.0)
    assert one.take(2.0) is None
    assert (one.report(2.0).stopped, one.report(2.0).left) == (None, 0)


def test_every_key_is_counted_once_by_how_it_went() -> None:
    """Loaded, held, shared, not stored, failed, unfit: together they are the list."""

    def resolve(item: int) -> str:
        if item == 5:
            raise Unfit("gone: no such endpoint")
        return str(item)

    one = replay(6, resolve=resolve)
    for went in (
        answer(),
        answer(Tier.L1),
        answer(Tier.L2),
        answer(not_stored=NotStored.MOVED),
        Went(error="product: KeyError"),
    ):
        one.went(take(one), went, began=0.0, now=0.0)
    assert one.take(0.0) is None
    report = one.report(1.0)
    assert (report.loaded, report.held, report.shared, report.left) == (1, 1, 1, 0)
    assert report.not_stored == {"moved": 1}
    assert report.failed == {"product: KeyError": 1}
    assert report.unfit == {"gone: no such endpoint": 1}
    assert "no such endpoint" in str(report)
    assert report.as_dict()["left"] == 0


def test_reasons_are_bounded() -> None:
    """A list of many thousand unknown endpoints does not make a report of as many lines."""

    def resolve(item: int) -> str:
        raise Unfit(f"e{item}: no such endpoint")

    one = replay(5000, resolve=resolve)
    assert one.take(0.0) is None
    report = one.report(0.0)
    assert len(report.unfit) <= 101
    assert sum(report.unfit.values()) == 5000


def test_the_eta_is_what_is_left_at_the_pace_so_far() -> None:
    """Half of the list in ten seconds: ten more."""
    one = replay(10)
    for _ in range(5):
        one.went(take(one), answer(), began=0.0, now=10.0)
    progress = one.progress(10.0)
    assert progress is not None
    assert (progress.done, progress.asked) == (5, 10)
    assert progress.eta_s == pytest.approx(10.0)
    assert one.progress(10.05) is None  # at most ten times a second
