"""Who waits at a limit, for how long, and who is let in or refused: weights, priorities, deadlines, repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.limit import Ended, Limit, Refused, Turn

HIGH, NORMAL, LOW = range(3)


class World:
    """A limit under a clock that is set, and whom it woke."""

    def __init__(self, most: int, queue_max: int, adaptive: AdaptiveLimit | None = None) -> None:
        self.now = 0.0
        self.limit = Limit(most, queue_max, adaptive=adaptive, now=lambda: self.now)
        self.woken: list[Turn] = []

    def ask(
        self, priority: int = NORMAL, weight: int = 1, *, within_s: float = 1.0, repeats: bool = False
    ) -> Turn:
        turn: Turn

        def wake() -> bool:
            self.woken.append(turn)
            return True

        turn = self.limit.ask(
            wake, priority=priority, weight=weight, deadline=self.now + within_s, repeats=repeats
        )
        return turn


def test_a_heavy_load_counts_for_as_many_as_it_weighs() -> None:
    """At a limit of four, a load of three leaves room for one; the ceiling counts weights."""
    world = World(4, 10)
    heavy, light, waits = world.ask(weight=3), world.ask(), world.ask()
    assert (heavy.granted, light.granted, waits.granted) == (True, True, False)
    assert (world.limit.held, world.limit.holders) == (4, 2)
    world.limit.give_back(heavy)
    assert waits.granted
    assert world.limit.held == 2


def test_one_heavier_than_the_limit_runs_alone() -> None:
    """A load that weighs more than there is counts as all of it, and is not refused for ever."""
    world = World(4, 10)
    light, heavy = world.ask(), world.ask(weight=100)
    assert not heavy.granted
    world.limit.give_back(light)
    assert heavy.granted
    assert world.limit.held == 4
    assert not world.ask().granted


def test_a_heavy_load_at_the_head_is_not_overtaken_for_ever() -> None:
    """Those behind a heavy load wait with it, and who comes meanwhile does not slip in."""
    world = World(4, 10)
    running = [world.ask() for _ in range(4)]
    heavy, light = world.ask(weight=4), world.ask()
    for turn in running:
        assert not heavy.granted
        assert not light.granted
        assert world.limit.take() is None
        world.limit.give_back(turn)
    assert heavy.granted
    assert not light.granted


def test_the_highest_priority_is_served_first() -> None:
    """Whoever came first, the next turn is the highest priority's."""
    world = World(1, 10)
    running = world.ask()
    low, normal, high = world.ask(LOW), world.ask(NORMAL), world.ask(HIGH)
    for turn in (high, normal, low):
        world.limit.give_back(running)
        assert world.woken[-1] is turn
        running = turn


def test_a_full_queue_sheds_the_last_of_the_lowest_for_a_higher_one() -> None:
    """A high load that finds the queue full takes the place of the low load that waited least; its equals it does not
    disturb."""
    world = World(1, 3)
    world.ask()
    first, second, normal = world.ask(LOW), world.ask(LOW), world.ask(NORMAL)
    assert world.ask(LOW).refused is Refused.FULL
    high = world.ask(HIGH)
    assert second.refused is Refused.SHED
    assert world.woken == [second]
    assert [first.refused, normal.refused, high.refused] == [None] * 3
    another, third = world.ask(HIGH), world.ask(HIGH)
    assert [first.refused, normal.refused] == [Refused.SHED, Refused.SHED]
    assert world.ask(HIGH).refused is Refused.FULL
    assert [another.refused, third.refused] == [None, None]
    assert len(world.limit) == 3


def test_a_waiter_whose_time_is_over_is_refused_and_not_run() -> None:
    """A turn that becomes free goes to one who can still use it; who waited too long is told so."""
    world = World(1, 10)
    running = world.ask()
    late, patient = world.ask(within_s=1.0), world.ask(within_s=5.0)
    world.now = 2.0
    world.limit.give_back(running)
    assert (late.granted, late.refused) == (False, Refused.LATE)
    assert patient.granted
    assert world.woken == [late, patient]


def test_who_gives_up_as_its_turn_comes_has_it() -> None:
    """A wait that ends in the very moment of the grant is no refusal: the turn is there, and is used."""
    world = World(1, 10)
    running, waiting = world.ask(), world.ask()
    world.limit.give_back(running)
    assert not world.limit.give_up(waiting)
    assert waiting.granted
    assert waiting.refused is None
    other = world.ask()
    assert world.limit.give_up(other)
    assert other.refused is Refused.LATE
    assert len(world.limit) == 0


def test_repeats_that_would_wait_need_the_budget() -> None:
    """While there is room a repeat is a load like any; under pressure only so many may wait, and the next is refused
    although the queue has room. First tries are not."""
    world = World(1, 1_000)
    repeat = world.ask(repeats=True)
    assert repeat.granted
    refused = [world.ask(repeats=True).refused for _ in range(20)]
    assert refused == [None] * 10 + [Refused.RETRY] * 10
    assert world.ask().refused is None


def test_when_to_come_again_follows_from_the_queue() -> None:
    """Twice as many ahead is twice the time; with nothing known it is a second."""
    world = World(2, 100, AdaptiveLimit(2, 2))
    assert world.limit.retry_after_s() == 1.0
    turn = world.ask()
    world.now = 0.5
    world.limit.give_back(turn, Ended.ANSWERED, "kind")
    for _ in range(2 + 8):
        world.ask()
    assert world.limit.retry_after_s() == pytest.approx(0.5 * 10 / 2)
    for _ in range(10):
        world.ask()
    assert world.limit.retry_after_s() == pytest.approx(0.5 * 20 / 2)


def test_loads_that_say_nothing_of_the_source_move_nothing() -> None:
    """Cancelled loads, and such that failed for reasons of their own, neither shrink the limit nor raise it."""
    adaptive = AdaptiveLimit(2, 32)
    world = World(32, 100, adaptive)
    for _ in range(2_000):
        turn = world.ask()
        world.now += 100.0
        world.limit.give_back(turn)
    assert (adaptive.limit, adaptive.inflation, world.limit.mean_s) == (32.0, 1.0, 0.0)
    for _ in range(2_000):
        world.limit.give_back(world.ask(), Ended.OVERLOADED)
    assert world.limit.allowed == 2


def test_a_lower_limit_takes_no_turn_away() -> None:
    """When the limit falls, those under way end as they will, and nobody new begins until there is room."""
    world = World(8, 100)
    running = [world.ask() for _ in range(8)]
    world.limit.set_share(2)
    waiting = world.ask()
    for turn in running[:6]:
        world.limit.give_back(turn)
        assert not waiting.granted
    world.limit.give_back(running[6])
    assert waiting.granted
    assert world.limit.held == 2


def test_its_numbers_say_what_there_is() -> None:
    """The snapshot has holders, those who wait by priority, turns given and refusals by reason."""
    world = World(2, 2)
    world.ask(HIGH, 2)
    world.ask(LOW)
    world.ask(NORMAL)
    world.ask(LOW)
    stats = world.limit.stats("db")
    assert (stats.limit, stats.ceiling, stats.held, stats.holders) == (2, 2, 2, 1)
    assert stats.waiting == {"high": 0, "normal": 1, "low": 1}
    assert stats.given == {"high": 1, "normal": 0, "low": 0}
    assert stats.refused["low"] == {"full": 1, "shed": 0, "late": 0, "retry": 0}
    assert (stats.waiting_total, stats.refused_total, stats.waiting_peak) == (2, 1, 2)
    assert stats.as_dict()["waiting_total"] == 2
    assert str(stats) == (
        "source db: under way 2 of 2, waiting 2 of 2, REFUSED 1 (full 1) beside 1 turns given"
    )


@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "give back", "give up", "later"]),
            st.integers(0, 2),
            st.integers(1, 8),
            st.integers(0, 9),
        ),
        max_size=100,
    ),
)
def test_no_order_of_events_breaks_a_bound(most: int, steps: list[tuple[str, int, int, int]]) -> None:
    """Whatever is asked, given back, given up and waited: the weight under way stays within the limit, the queue within
    its bound, whoever is told was granted or refused, and in the end all is free."""
    world, turns = World(most, 5), list[Turn]()
    for what, priority, weight, which in steps:
        if what == "ask":
            turns.append(world.ask(priority, weight, repeats=which == 0))
        elif what == "later":
            world.now += 0.3
        elif turns:
            turn = turns[which % len(turns)]
            if what == "give back":
                world.limit.give_back(turn)
                turns.remove(turn)
            else:
                world.limit.give_up(turn)
        assert 0 <= world.limit.held <= most
        assert len(world.limit) <= 5
        assert world.limit.held == sum(turn.weight for turn in world.limit._holding)
        assert all(turn.granted != (turn.refused is not None) for turn in world.woken)
    for turn in turns:
        world.limit.give_back(turn)
    assert (world.limit.held, world.limit.holders, len(world.limit)) == (0, 0, 0)
