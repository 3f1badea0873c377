"""Reads that need the server: what is timed is that, and the figures made of it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.interleaved import WrongAnswer
from bench.rows import OURS, TASKS, THREADS
from bench.shared import hits
from bench.shared.peers import SharedPeer
from bench.shared.rows import ONE_GET, SLEEPING, Round, SharedTable, with_ratios
from bench.shared.values import SIZES

LOCKSTEP = SharedTable(TASKS, 50, 200)
THINKING = SharedTable(TASKS, 50, 200, 0.01)


class Counting:
    """A server that was asked for `a_read` keys at each read."""

    def __init__(self, a_read: float) -> None:
        self.a_read = a_read
        self.found = 0.0

    def ask(self, *words: Any) -> str:
        return f"# Stats\r\nkeyspace_hits:{int(self.found)}\r\n"


class Answering:
    """A measured process whose answers are given, in front of a server."""

    def __init__(self, server: Counting, **answer: Any) -> None:
        self.peer = SharedPeer("a cache", TASKS, lambda url, load, ttl_s: load)
        self.server = server
        self.given = {"wrong": 0, "loads": 0, "reads": 1_000, "wall_s": 0.5, "cpu_s": 0.1, **answer}

    def do(self, do: str, **arguments: Any) -> Any:
        self.server.found += self.given["reads"] * self.server.a_read
        return self.given


def one_round(a_read: float, **answer: Any) -> Round:
    server: Any = Counting(a_read)
    process: Any = Answering(server, **answer)
    return hits.one_round(LOCKSTEP, process, server, 0.1)


def test_a_round_of_hits_on_the_server_is_timed() -> None:
    """Right answers, no load, at least one key asked for at each read: that is a row."""
    assert one_round(1) == Round(1_000, 0.5, 0.1)
    assert one_round(4) == Round(1_000, 0.5, 0.1)


def test_reads_that_the_process_answered_itself_are_no_hits_on_the_server() -> None:
    """Fewer keys asked for than reads: something was kept in the process, and the row is refused."""
    with pytest.raises(WrongAnswer, match="these are no hits on it"):
        one_round(0.5)


def test_a_wrong_value_or_a_load_under_way_stops_the_run() -> None:
    """A row that answers with another key's value, or loads while hits are timed, is not reported as a time."""
    with pytest.raises(WrongAnswer, match="1 wrong answers"):
        one_round(1, wrong=1)
    with pytest.raises(WrongAnswer, match="1 loads in 1000 reads"):
        one_round(1, loads=1)


def test_every_shape_is_measured_in_every_size() -> None:
    """1, 50 and 500 tasks and 50 threads in lockstep, 50 of each with think time, for 200 B and 4 KiB."""
    found = hits.tables(SIZES)
    assert {(table.kind, table.callers, bool(table.think_s)) for table in found} == {
        (TASKS, 1, False),
        (TASKS, 50, False),
        (TASKS, 500, False),
        (THREADS, 50, False),
        (TASKS, 50, True),
        (THREADS, 50, True),
    }
    assert len(found) == 12
    rates = [table.callers / table.think_s for table in found if table.think_s]
    assert rates == [pytest.approx(hits.READS_A_SECOND)] * 4


def test_no_two_callers_read_the_same_key() -> None:
    """The largest crowd leaves each caller two keys of its own, so that sharing a fetch wins nothing."""
    assert 2 * max(table.callers for table in hits.tables(SIZES)) <= hits.KEYS


def rounds(table: SharedTable, name: str, per_s: float, cpu_us: float) -> Any:
    """Two rounds, the second twice as slow."""
    quick = Round(int(per_s), 1.0, per_s * cpu_us / 1e6)
    slow = Round(int(per_s), 2.0, 2 * per_s * cpu_us / 1e6)
    return hits.as_row(table, name, [quick, slow])


def test_a_row_tells_its_best_round_and_the_median() -> None:
    """Throughput and CPU time each by its own best, since what disturbs only adds."""
    row = rounds(LOCKSTEP, OURS, 1_000, 10)
    assert (row.best_per_s, row.median_per_s, row.reads) == (1_000, 750, 2_000)
    assert [row.least_cpu_us, row.median_cpu_us] == [pytest.approx(10), pytest.approx(15)]


def test_ratios_are_to_hand_written_gets_of_the_same_table() -> None:
    """Twice the throughput and a quarter of the CPU time are 2x and 4 times less."""
    floor, ours = with_ratios([rounds(LOCKSTEP, ONE_GET, 1_000, 40), rounds(LOCKSTEP, OURS, 2_000, 10)])
    assert (floor.ratio, floor.cpu_ratio) == (1.0, 1.0)
    assert [ours.ratio, ours.cpu_ratio] == [pytest.approx(2.0), pytest.approx(4.0)]


def test_the_cpu_time_of_sleeping_is_taken_off_before_reads_are_compared() -> None:
    """45 us against 15 us of which 5 us are the callers' own sleep: 40 to 10."""
    found = with_ratios(
        [
            rounds(THINKING, SLEEPING, 1_000, 5),
            rounds(THINKING, ONE_GET, 1_000, 45),
            rounds(THINKING, OURS, 1_000, 15),
        ]
    )
    assert [row.name for row in found] == [ONE_GET, OURS]
    assert [row.least_cpu_us for row in found] == [pytest.approx(40), pytest.approx(10)]
    assert found[1].cpu_ratio == pytest.approx(4.0)
