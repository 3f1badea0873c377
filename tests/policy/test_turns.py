"""Whose turn it is, and which repeats may wait."""

from __future__ import annotations

from collections import Counter

from cacheaside.policy.turns import BURST, Order, RetryBudget


def served(waiting: tuple[int, int, int], turns: int, held: tuple[int, int, int] = (0, 0, 0)) -> Counter[int]:
    """Who gets so many turns, while so many of each priority wait all the time."""
    order, counted = Order(), Counter[int]()
    for _ in range(turns):
        priority = order.next(waiting, held, 20)
        assert priority is not None
        order.given(priority, waiting)
        counted[priority] += 1
    return counted


def test_nobody_is_next_where_nobody_waits() -> None:
    """No turn is given to an empty queue."""
    assert Order().next((0, 0, 0), (0, 0, 0), 10) is None


def test_the_highest_priority_is_first() -> None:
    """Of those that begin to wait together the highest is served first."""
    assert Order().next((1, 1, 1), (0, 0, 0), 10) == 0
    assert Order().next((0, 1, 1), (0, 0, 0), 10) == 1


def test_lower_priorities_have_their_share_of_the_turns() -> None:
    """While all wait, a fifth of the turns goes to normal and a twentieth to low loads, give or take one."""
    counted = served((9, 9, 9), 1_000)
    assert abs(counted[1] - 200) <= 12
    assert abs(counted[2] - 50) <= 3
    assert counted[0] >= 740


def test_a_low_load_waits_for_a_bounded_number_of_turns() -> None:
    """However many high and normal loads come, at most twenty turns are given before a low one's."""
    order, since, longest = Order(), 0, 0
    for _ in range(1_000):
        priority = order.next((9, 9, 1), (0, 0, 0), 20)
        assert priority is not None
        order.given(priority, (9, 9, 1))
        since = 0 if priority == 2 else since + 1
        longest = max(longest, since)
    assert longest <= 21


def test_long_low_loads_do_not_crowd_out_short_high_ones() -> None:
    """A priority that holds its share of the limit already buys no further turn."""
    assert served((9, 0, 9), 100, held=(10, 0, 1))[2] == 0


def test_who_does_not_wait_saves_nothing_up() -> None:
    """A thousand turns given while no low load waits give low loads no credit for later."""
    order = Order()
    for _ in range(1_000):
        order.given(0, (5, 0, 0))
    assert order.next((5, 0, 5), (0, 0, 0), 20) == 0


def test_repeats_are_a_tenth_of_the_loads() -> None:
    """Ten at first, and one more for every ten loads; unused ones do not pile up."""
    budget = RetryBudget()
    assert sum(budget.spend() for _ in range(100)) == BURST
    for _ in range(10):
        budget.earn()
    budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]
    for _ in range(10_000):
        budget.earn()
    assert budget.left == BURST
