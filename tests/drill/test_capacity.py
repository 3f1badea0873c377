"""A source that its queries share."""

from __future__ import annotations

from random import Random

import pytest

from cacheaside.drill.capacity import Capacity, Sharing

CAPACITY = Capacity(slots=4, service_s=0.1, contention=0.1, running_max=100)


def run(sharing: Sharing, until: float) -> list[tuple[float, int]]:
    """Let time pass; when each query ended."""
    ended = []
    while (due := sharing.due()) is not None and due <= until:
        ended += [(due, number) for number in sharing.take(due)]
    return ended


def test_alone_a_query_takes_its_time() -> None:
    """Below as many queries as slots each takes from half to one and a half of the service time."""
    sharing = Sharing(CAPACITY)
    for _ in range(4):
        sharing.arrive(0.0)
    ended = run(sharing, 10.0)
    assert len(ended) == 4
    assert all(0.05 <= at <= 0.1501 for at, _ in ended)


def test_kept_full_it_gives_its_capacity() -> None:
    """With as many queries as slots all the time, it ends slots / service_s of them a second."""
    sharing = Sharing(CAPACITY)
    now = 0.0
    for _ in range(4):
        sharing.arrive(now)
    while now < 50.0:
        due = sharing.due()
        assert due is not None
        now = due
        for _ in sharing.take(now):
            sharing.arrive(now)
    assert sharing.done / now == pytest.approx(CAPACITY.per_s, rel=0.02)


@pytest.mark.parametrize("running", [8, 40, 100])
def test_overload_costs_goodput(running: int) -> None:
    """The more run at once beyond the slots, the fewer end: by the stated contention."""
    sharing = Sharing(CAPACITY)
    now = 0.0
    for _ in range(running):
        sharing.arrive(now)
    while now < 100.0:
        due = sharing.due()
        assert due is not None
        now = due
        for _ in sharing.take(now):
            sharing.arrive(now)
    stated = CAPACITY.per_s / (1 + 0.1 * (running - 4) / 4)
    assert sharing.done / now == pytest.approx(stated, rel=0.05)
    assert sharing.done / now < CAPACITY.per_s


def test_it_refuses_beyond_its_bound() -> None:
    """A source that is out of connections refuses, and counts it."""
    sharing = Sharing(CAPACITY)
    numbers = [sharing.arrive(0.0) for _ in range(103)]
    assert numbers[100:] == [None, None, None]
    assert (len(sharing), sharing.refused) == (100, 3)


def test_slowed_down_everything_takes_longer() -> None:
    """What is under way is slower from the moment on that it is slowed down, and quick again afterwards."""
    sharing = Sharing(CAPACITY)
    sharing.arrive(0.0)
    usual = sharing.due()
    assert usual is not None
    sharing.slow_down(0.0, 4.0)
    assert sharing.due() == pytest.approx(usual * 4)
    sharing.slow_down(usual * 2, 1.0)  # half of it is done
    assert sharing.due() == pytest.approx(usual * 2.5)


def test_nothing_is_lost_and_nothing_ends_twice() -> None:
    """Whatever comes when, each query ends once, in the order of the moments that were foretold."""
    random = Random(5)
    sharing, now = Sharing(CAPACITY), 0.0
    began, ended = [], []
    for _ in range(2_000):
        now += random.expovariate(60.0)
        ended += sharing.take(now)
        number = sharing.arrive(now)
        if number is not None:
            began.append(number)
    ended += [number for _, number in run(sharing, 1e9)]
    assert sorted(ended) == began
    assert len(sharing) == 0
