"""Measured processes: real ones, on a real server, with the rows that need no other cache."""

from __future__ import annotations

import pytest

from bench.rows import TASKS
from bench.shared import drop, entry_bytes, hits
from bench.shared.peers import SharedPeer
from bench.shared.processes import Process, RowFailed
from bench.shared.rows import ONE_GET
from cacheaside.testing.servers import Server

PLAN = hits.SharedPlan(seed=1, rounds=1, batch_s=0.02, sizes=(200,))


def silent(_line: str) -> None:
    return


def test_hand_written_reads_are_measured_in_every_shape() -> None:
    """Floors run whatever is wanted: one row in each table, checked against the server's own count."""
    refused: list[str] = []
    found = hits.rows(PLAN, lambda name: False, silent, refused.append)
    assert refused == []
    assert [row.table for row in found] == hits.tables(PLAN.sizes)
    assert {(row.name, row.ratio, row.cpu_ratio) for row in found} == {(ONE_GET, 1.0, 1.0)}
    assert all(row.reads > 0 and row.best_per_s > 0 for row in found)


def test_readers_see_what_a_writer_in_another_process_invalidates() -> None:
    """Under both loads the processes' clocks are one, and the times between them are made from what was seen."""
    found = drop.rows(0.2, lambda name: name.startswith("no L1"), silent)
    assert [row.load for row in found] == [duty.name for duty in drop.DUTIES]
    assert all(row.invalidations * row.processes > row.missed for row in found)
    assert all(0 <= row.p50_s <= row.p99_s <= row.worst_s for row in found)


def test_an_entry_on_the_server_takes_more_than_its_value() -> None:
    """Every key was loaded once, and the server's memory grew by more than the values, with nobody connected."""
    (row,) = entry_bytes.rows(1_000, lambda name: name == ONE_GET, silent)
    assert 0 < row.overhead_bytes < 1_000


def test_what_fails_in_a_process_is_told_with_its_error() -> None:
    """The asking side gets the name of the row and the error, not a hang."""
    peer = SharedPeer(ONE_GET, TASKS, lambda url, load, ttl_s: load)
    with Server() as server, Process("hits", peer, server.url) as process:
        with pytest.raises(RowFailed, match=f"{ONE_GET}: KeyError"):
            process.do("read_all", size=200)
        process.do("decorate", sizes=[200])
        assert process.do("read_all", size=200) == {"wrong": 0, "loads": hits.KEYS}
        assert process.do("read_all", size=200) == {"wrong": 0, "loads": 0}


def test_a_process_that_ends_by_itself_is_told() -> None:
    """A worker for a row that does not exist says so and ends; the asking side hears of it."""
    peer = SharedPeer("no such cache", TASKS, lambda url, load, ttl_s: load)
    with (
        Server() as server,
        Process("hits", peer, server.url) as process,
        pytest.raises(RowFailed, match="ended"),
    ):
        process.do("decorate", sizes=[200])
