"""An outage in figures: until when L1 answered, when everybody was told, when hits came back."""

from __future__ import annotations

import pytest

from cacheaside.demo.promises import Outage
from cacheaside.demo.recovery import outage_report
from tests.demo.pulses import answer
from tests.demo.writing import commit

KILLED = Outage(10.0, emptied=True, returned_at=14.0)


def test_l1_is_followed_until_its_last_answer_of_the_outage() -> None:
    """The last answer from L1 that was asked for, and given, while the server was away says how long L1 went on."""
    answers = [
        answer(9.9),
        answer(10.5),
        answer(11.9),
        answer(12.5, source="source"),
        answer(13.9, lasting=0.2),
        answer(14.5),
    ]
    told = outage_report(KILLED, answers, [], hits_before=0.5)
    assert (told.emptied, told.seconds, told.l1_for_s) == (True, 4.0, pytest.approx(1.9))
    assert outage_report(KILLED, [], [], hits_before=0.5).l1_for_s == 0.0


def test_changes_of_the_outage_are_followed_until_all_are_told() -> None:
    """Of the changes done meanwhile those count as owed that the tier acknowledged after its return; the last says when
    all were told."""
    commits = [
        commit(9.0, 9.1),
        commit(10.5, 10.6, acknowledged_at=14.2),
        commit(11.5, 11.6, acknowledged_at=14.8),
        commit(13.0, 13.1, acknowledged_at=13.2),
        commit(14.1, 14.2, acknowledged_at=14.9),
        commit(12.0, None),
    ]
    told = outage_report(KILLED, [], commits, hits_before=0.5)
    assert (told.changes, told.owed) == (3, 2)
    assert told.told_after_s == pytest.approx(0.8)


def test_a_change_that_was_never_told_is_said_so() -> None:
    """When one change of the outage was not acknowledged at all, there is no moment at which all were told."""
    commits = [commit(10.5, 10.6, acknowledged_at=14.2), commit(11.5, 11.6, acknowledged_at=None)]
    told = outage_report(KILLED, [], commits, hits_before=0.5)
    assert (told.owed, told.told_after_s) == (2, None)


def test_hits_are_back_when_most_of_a_moments_answers_are() -> None:
    """The first quarter of a second after the return with nine tenths of the usual share of hits ends the recovery."""
    misses = [answer(14.0 + n / 100, source="source") for n in range(50)]
    mixed = [answer(14.5 + n / 100, source=("l1", "source")[n % 2]) for n in range(25)]
    for hits_before, after_s in ((0.5, 0.75), (0.9, None), (0.0, 0.25)):
        told = outage_report(KILLED, [*mixed, *misses], [], hits_before=hits_before)
        assert told.hits_after_s == after_s
