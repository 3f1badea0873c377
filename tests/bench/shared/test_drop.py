"""From what processes saw to how long they served an old value."""

from __future__ import annotations

from bench.rows import TASKS
from bench.shared.drop import DUTIES, as_row, drops_ns, stale
from bench.shared.peers import SharedPeer

PEER = SharedPeer("a cache", TASKS, lambda url, load, ttl_s: load)


def test_a_drop_ends_with_the_first_read_that_is_not_answered_with_the_old_value() -> None:
    """Sent at 100, acknowledged at 110; the read that began at 125 returned what was loaded at 126: 15."""
    assert drops_ns([(100, 110)], [(0, 1), (125, 126)]) == ([15], 0)


def test_a_value_loaded_before_the_invalidation_was_sent_is_the_old_one() -> None:
    """A new value seen at 115 that was loaded at 99 ends nothing; the next one does."""
    assert drops_ns([(100, 110)], [(0, 1), (115, 99), (140, 139)]) == ([30], 0)


def test_who_heard_before_the_writer_was_told_took_no_time() -> None:
    """A process that looked anew at 105 dropped the value before the acknowledgement at 110: 0, not less."""
    assert drops_ns([(100, 110)], [(0, 1), (105, 106)]) == ([0], 0)


def test_one_look_can_end_several_invalidations() -> None:
    """A process that slept through the first drop is late for both."""
    assert drops_ns([(100, 110), (150, 160)], [(0, 1), (200, 201)]) == ([90, 40], 0)


def test_a_drop_that_nobody_saw_is_missed_and_not_timed() -> None:
    """No newer value after the second invalidation: counted apart."""
    assert drops_ns([(100, 110), (150, 160)], [(0, 1), (120, 121)]) == ([10], 1)


def test_an_old_value_that_comes_back_does_not_undo_a_drop_but_is_stale() -> None:
    """After the look at 120 an older value is seen at 130, which the invalidation should have ended."""
    changes = [(0, 1), (120, 121), (130, 50), (140, 141)]
    assert drops_ns([(100, 110)], changes) == ([10], 0)
    assert stale([(100, 110)], changes) == 1


def test_what_was_loaded_while_an_invalidation_was_under_way_is_not_stale() -> None:
    """Loaded after it was sent, or seen before it was acknowledged: nothing was promised yet."""
    assert stale([(100, 110)], [(105, 50), (120, 105)]) == 0


def test_quantiles_are_over_all_processes_and_invalidations() -> None:
    """Two processes, two invalidations: the worst of the four is the row's worst."""
    wrote = {"written": [(100, 110), (1_000, 1_010)], "unacknowledged": 3}
    seen = [
        {"changes": [(0, 1), (111, 112), (1_012, 1_013)], "busy": 0.1},
        {"changes": [(0, 1), (113, 114), (1_310, 1_311)], "busy": 0.3},
    ]
    row = as_row(PEER, DUTIES[0], wrote, seen)
    assert (row.p50_s, row.worst_s) == (2e-9, 300e-9)
    assert (row.busy, row.processes, row.invalidations, row.missed, row.unacknowledged) == (0.2, 2, 2, 0, 3)


def test_without_an_acknowledged_invalidation_there_is_no_time() -> None:
    """A writer that was always told that it failed has not shown that anything is dropped in time."""
    row = as_row(PEER, DUTIES[0], {"written": [], "unacknowledged": 9}, [{"changes": [(0, 1)], "busy": 0.1}])
    assert (row.p50_s, row.p99_s, row.invalidations) == (float("inf"), float("inf"), 0)
