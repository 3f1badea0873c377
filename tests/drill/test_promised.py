"""May this answer miss that change?"""

from __future__ import annotations

from cacheaside.drill.rig.promised import Changes, Promised

PROMISED = Promised(bound_s=60.0, max_unsynced_s=2.0)


def test_an_acknowledged_change_is_seen_in_time() -> None:
    """Asked for later than memories may lag, an answer has the change; sooner it may have it or not."""
    changes = Changes()
    changes.done(7, 100.0, acknowledged=True)
    assert not PROMISED.is_stale(6, 101.9, changes)
    assert PROMISED.is_stale(6, 102.1, changes)
    assert not PROMISED.is_stale(7, 102.1, changes)


def test_a_change_that_nobody_was_told_of_is_seen_when_the_contract_ends() -> None:
    """Unacknowledged, it is bounded by ttl and grace alone."""
    changes = Changes()
    changes.done(7, 100.0, acknowledged=False)
    assert not PROMISED.is_stale(6, 159.0, changes)
    assert PROMISED.is_stale(6, 160.1, changes)


def test_replies_out_of_order_do_not_hide_a_change() -> None:
    """The newest version counts, whichever reply came last."""
    changes = Changes()
    changes.done(8, 100.0, acknowledged=True)
    changes.done(7, 100.1, acknowledged=True)
    assert PROMISED.is_stale(7, 110.0, changes)
