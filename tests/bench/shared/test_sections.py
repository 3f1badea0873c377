"""Outcomes of several processes and repeats as one row, and the names of the sections."""

from __future__ import annotations

import pytest

from bench.rows import TASKS
from bench.shared import away, drop, entry_bytes, herd, hits, hot, ours, sections
from bench.shared.peers import SharedPeer

PEER = SharedPeer("a cache", TASKS, lambda url, load, ttl_s: load)


def test_a_herd_is_told_by_its_worst_loads_and_commands_and_its_middle_wait() -> None:
    """One quick repeat does not hide the one that loaded twice or asked the most."""
    row = herd.as_row(PEER, [(1, 0.11, 0, {"get": 9}), (2, 0.12, 0, {"get": 3}), (1, 0.50, 1, {"set": 20})])
    assert (row.loads, row.slowest_s, row.failed) == (2, 0.12, 1)
    assert (row.commands, row.by_command) == (20, {"set": 20})


def test_a_hot_key_is_told_over_all_processes() -> None:
    """Loads and failures are added up; the slowest read of any process is the row's."""
    answers = [
        {"loads": 1, "waits_s": [0.001] * 99, "failed": 0},
        {"loads": 2, "waits_s": [0.2], "failed": 1},
    ]
    row = hot.as_row(PEER, 4.0, answers)
    assert (row.periods, row.loads, row.reads, row.failed) == (4.0, 3, 100, 1)
    assert (row.p99_s, row.slowest_s) == (0.001, 0.2)


def read(beyond_s: float | None, failed: bool = False) -> dict[str, object]:
    return {"beyond_s": beyond_s, "failed": failed}


def test_a_read_that_took_too_long_is_longer_than_any_that_did_not() -> None:
    """Two of four later reads beyond the limit: the median is still a time, and the worst is not."""
    row = away.as_row(away.HUNG, PEER, read(None), [read(None), read(2.0), read(None), read(0.5)])
    assert (row.first_s, row.later_p50_s, row.later_p99_s, row.later_worst_s) == (None, 2.0, None, None)


def test_errors_of_the_first_and_of_later_reads_count() -> None:
    """A cache that raises because its server is away fails reads, however quickly."""
    row = away.as_row(away.REFUSED, PEER, read(0.0, failed=True), [read(0.0), read(0.0, failed=True)])
    assert (row.errors, row.later_calls) == (2, 2)


def test_a_timer_that_ran_early_is_no_negative_time() -> None:
    """A read that took less than its load by the clocks' grain took nothing beyond it."""
    assert away.as_row(away.HUNG, PEER, read(0.1), [read(-1e-6)]).later_worst_s == 0.0


def test_every_section_has_a_row_of_cacheaside() -> None:
    """No section leaves cacheaside out, or names a cache twice."""
    for section in (away, drop, entry_bytes, herd, hits, hot):
        named = [(peer.name, peer.kind) for peer in section.PEERS]
        assert any(name == "cacheaside" for name, _ in named)
        assert len(named) == len(set(named))


def test_a_version_without_a_shared_tier_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where Cache takes no URL the run ends at once, if cacheaside's rows are wanted; other rows can be measured."""

    class Cache:
        def __init__(self, *, namespace: str = "app") -> None: ...

    monkeypatch.setattr(ours, "Cache", Cache)
    with pytest.raises(ours.SharedTierMissing, match="takes no URL"):
        sections.check(lambda section: True, lambda row: True)
    sections.check(lambda section: True, lambda row: row != "cacheaside")
    sections.check(lambda section: section == "hit", lambda row: True)
