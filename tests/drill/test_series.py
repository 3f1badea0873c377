"""From single answers to windows of time."""

from __future__ import annotations

import pytest

from cacheaside.drill.series import Answer, Reading, Record, points, quantile, waits_ms


def test_answers_count_in_the_window_in_which_they_ended() -> None:
    """A window has what ended in it, however long ago it was asked for."""
    record = Record()
    record.add([Answer(0.1, 0.2, "l1"), Answer(0.1, 1.2, "source"), Answer(0.9, 1.3, "refused")])
    first, second = points(record, 0.0, 2.0, 1.0)
    assert (first.answered, first.hits) == (1.0, 1.0)
    assert (second.answered, second.refused, second.hits) == (1.0, 1.0, 0.0)


def test_requests_that_still_wait_have_come() -> None:
    """What came is counted when it came; who was never answered is in no answer."""
    record = Record()
    record.came += [(0.0, 0), (1.0, 10), (2.0, 40)]
    assert [point.asked for point in points(record, 0.0, 2.0, 1.0)] == [10.0, 30.0]


def test_a_counter_is_spread_over_its_windows() -> None:
    """What the source did between two readings is shared out evenly; the sum stays."""
    record = Record()
    record.readings += [Reading(0.0, 2, 0), Reading(2.5, 7, 25), Reading(4.0, 3, 31)]
    windows = points(record, 0.0, 4.0, 1.0)
    assert [point.queries for point in windows] == pytest.approx([10.0, 10.0, 7.0, 4.0])
    assert [point.running for point in windows] == [7, 7, 7, 3]


def test_who_gave_up_waited_too() -> None:
    """The time of those who gave up counts, that of those who were refused does not: else the times would look best
    when nobody is answered."""
    answers = [Answer(0, 0.01, "l1"), Answer(0, 3.0, "late"), Answer(0, 0.001, "refused")]
    assert waits_ms(answers) == pytest.approx([10.0, 3000.0])


@pytest.mark.parametrize(("share", "found"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_quantile_is_one_of_the_values(share: float, found: int) -> None:
    """Nearest rank: so large a share of the values is not above it."""
    assert quantile(list(range(1, 101)), share) == found


def test_of_nothing_there_is_no_quantile() -> None:
    """No values, no answer."""
    assert quantile([], 0.5) is None


def test_a_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is counted, and not kept."""
    monkeypatch.setattr("cacheaside.drill.series.ANSWERS_MAX", 3)
    record = Record()
    record.add([Answer(0, 1, "l1")] * 5)
    assert (len(record.answers), record.dropped) == (3, 2)
