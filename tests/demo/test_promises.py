"""What several processes and an outage allow: each rule of `promises`, at its edges."""

from __future__ import annotations

import pytest

from cacheaside.demo.history import Commit, From
from cacheaside.demo.promises import Allowance, Excuse, Outage, Promises
from tests.demo.writing import commit, served

UNSYNCED_S = 2.0
ALLOWED = {"flight": Allowance(0.0, 60.0)}


def excuse(
    by: Commit, *outages: Outage, at: float, lasting: float = 0.01, source: From = "l1"
) -> Excuse | None:
    """What lets process 1 miss `by`, which another process made."""
    promises = Promises(ALLOWED, UNSYNCED_S, outages)
    return promises.excuse(by, served(at, (1, 1), lasting=lasting, process=1, source=source))


def test_a_change_under_way_may_be_missed_by_anybody() -> None:
    """Until a change is done nothing is owed to a request, whoever answers it."""
    by = commit(10.0, 10.5, process=1)
    assert excuse(by, at=10.5) is Excuse.UNDER_WAY
    assert excuse(by, at=10.6) is None


@pytest.mark.parametrize("source", ["l1", "l2", "joined", "source"])
def test_no_process_is_behind_its_own_changes(source: From) -> None:
    """What a process was told is done, it shows to the next request: acknowledged by the tier, or owed."""
    assert excuse(commit(10.0, 10.1, process=1), at=10.2, source=source) is None
    assert excuse(commit(10.0, 10.1, process=1, acknowledged_at=None), at=10.2, source=source) is None


@pytest.mark.parametrize(
    ("source", "at", "allowed"),
    [
        ("l1", 12.0, Excuse.BEHIND),
        ("l1", 12.1, Excuse.BEHIND),
        ("l1", 12.2, None),
        ("joined", 12.0, Excuse.BEHIND),
        ("joined", 12.2, None),
        ("l2", 10.2, None),
        ("source", 10.2, None),
    ],
)
def test_l1_of_another_process_may_be_behind_for_max_unsynced(
    source: From, at: float, allowed: Excuse | None
) -> None:
    """G2 and G1: what a process heard may be up to `max_unsynced` late; what the tier or the database says may not."""
    assert excuse(commit(10.0, 10.1), at=at, source=source) is allowed


def test_max_unsynced_counts_from_the_acknowledgement() -> None:
    """A change that was owed for a while is heard by others from its acknowledgement on, and no earlier."""
    by = commit(10.0, 10.1, acknowledged_at=15.0)
    assert excuse(by, at=14.9) is Excuse.OWED
    assert excuse(by, at=16.9) is Excuse.BEHIND
    assert excuse(by, at=17.1) is None
    assert excuse(by, at=15.1, source="l2") is None


def test_a_frozen_server_lets_others_miss_what_is_owed_while_l1_may_answer_and_after_it_is_back() -> None:
    """Owed across a freeze: allowed for `max_unsynced`; then not, since nobody has an old value; then until told."""
    frozen = Outage(10.0, emptied=False, returned_at=15.0)
    by = commit(10.5, 10.6, acknowledged_at=15.8)
    assert excuse(by, frozen, at=11.9) is Excuse.OWED
    assert excuse(by, frozen, at=12.1) is None
    assert excuse(by, frozen, at=14.9, source="source") is None
    assert excuse(by, frozen, at=14.9, lasting=0.2, source="l2") is Excuse.OWED, (
        "it may have been read after the return"
    )
    assert excuse(by, frozen, at=15.5, source="l2") is Excuse.OWED
    assert excuse(by, frozen, at=15.9, source="l2") is None


def test_a_server_that_came_back_empty_gives_nobody_an_old_value() -> None:
    """Owed across a kill: after `max_unsynced` no old value can be come by any more, the server being back or not."""
    killed = Outage(10.0, emptied=True, returned_at=15.0)
    by = commit(10.5, 10.6, acknowledged_at=15.8)
    assert excuse(by, killed, at=11.9) is Excuse.OWED
    assert excuse(by, killed, at=12.1) is None
    assert excuse(by, killed, at=15.5, source="l2") is None


def test_a_change_made_after_the_return_may_be_owed_whatever_was_lost() -> None:
    """A process that has not found the server again yet owes what it changes; others have filled it meanwhile."""
    for emptied in (True, False):
        outage = Outage(10.0, emptied=emptied, returned_at=15.0)
        by = commit(14.9, 15.1, acknowledged_at=15.8)
        assert excuse(by, outage, at=15.5, source="l2") is Excuse.OWED


def test_an_outage_that_is_not_over_is_judged_like_one_that_is() -> None:
    """While the server is away nobody knows until when, and the same is promised."""
    by = commit(10.5, 10.6, acknowledged_at=None)
    for emptied in (True, False):
        assert excuse(by, Outage(10.0, emptied=emptied), at=12.1) is None


def test_without_an_outage_what_is_owed_may_be_missed() -> None:
    """A server that was only late for one write leaves it owed; nothing else follows from that."""
    assert excuse(commit(10.0, 10.1, acknowledged_at=10.4), at=10.3, source="l2") is Excuse.OWED


def test_nothing_is_older_than_ttl_and_grace() -> None:
    """Whatever happened to the tier and to the writer, ttl + grace after the commit it has to be seen."""
    for by in (commit(10.0, None), commit(10.0, 10.1, acknowledged_at=None)):
        assert excuse(by, at=69.9) is not None
        assert excuse(by, at=70.1) is None


def test_a_contract_that_allows_staleness_is_heard() -> None:
    """Within stale_after_invalidation even a process's own change may be missed."""
    promises = Promises({"flight": Allowance(3.0, 60.0)})
    own = commit(10.0, 10.1)
    assert promises.excuse(own, served(13.0, (1, 1))) is Excuse.CONTRACT
    assert promises.excuse(own, served(13.2, (1, 1))) is None


@pytest.mark.parametrize(
    ("source", "at", "lasting", "alone"),
    [
        ("l1", 11.9, 0.01, False),
        ("l1", 12.1, 0.01, True),
        ("l1", 14.9, 0.2, False),
        ("l1", 15.1, 0.01, False),
        ("source", 12.1, 0.01, False),
    ],
)
def test_l1_is_silent_when_it_has_been_out_of_touch_for_too_long(
    source: From, at: float, lasting: float, alone: bool
) -> None:
    """From `max_unsynced` after the tier went away until it is back, an answer from L1 is a fault, old or not."""
    promises = Promises(ALLOWED, UNSYNCED_S, [Outage(10.0, emptied=False, returned_at=15.0)])
    assert promises.speaks_alone(served(at, (1, 1), lasting=lasting, source=source)) is alone
