"""A limit: never more holders than it says, none lost, and nobody overtaken."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.source.limit import LOOK_EVERY, Limit, Refused, Turn
from tests.held import WAIT_S


def deaf() -> bool:
    return False


def listening(heard: list[int], number: int) -> Callable[[], bool]:
    def wake() -> bool:
        heard.append(number)
        return True

    return wake


def always() -> bool:
    return True


def ask(limit: Limit, wake: Callable[[], bool] = always) -> Turn:
    turn = limit.ask(wake)
    assert turn.refused is None
    return turn


def test_turns_are_given_up_to_the_limit_and_then_in_order() -> None:
    """The first get their turn at once, the others when one is given back, first come, first served."""
    limit, heard = Limit(2, 10), list[int]()
    turns = [ask(limit, listening(heard, number)) for number in range(5)]
    assert [turn.granted for turn in turns] == [True, True, False, False, False]
    assert heard == []
    limit.give_back(turns[1])
    limit.give_back(turns[0])
    assert heard == [2, 3]
    assert (limit.holders, len(limit), limit.holders_peak) == (2, 1, 2)


def test_a_full_queue_refuses() -> None:
    """Beyond its queue a limit says no, and counts it."""
    limit = Limit(1, 2)
    assert [limit.ask(always).refused for _ in range(5)] == [None, None, None, Refused.FULL, Refused.FULL]
    assert limit.refused == 2


def test_a_turn_that_is_not_granted_can_be_given_back() -> None:
    """Who leaves the queue is not given a turn later, and whoever is behind moves up."""
    limit, heard = Limit(1, 10), list[int]()
    first, second, third = (ask(limit, listening(heard, number)) for number in range(3))
    limit.give_back(second)
    limit.give_back(first)
    assert heard == [2]
    assert third.granted
    assert not second.granted


def test_giving_back_twice_frees_one_place() -> None:
    """A turn given back again, as by a child of a fork, does not raise the limit."""
    limit = Limit(1, 10)
    first = ask(limit)
    limit.give_back(first)
    limit.give_back(first)
    assert [ask(limit).granted for _ in range(3)] == [True, False, False]


def test_who_does_not_hear_its_turn_hands_it_on() -> None:
    """A turn that comes to a waiter whose loop is closed goes to the next who hears, however many there are."""
    limit, heard = Limit(1, 5_000), list[int]()
    first = ask(limit)
    for _ in range(3_000):
        ask(limit, deaf)
    ask(limit, listening(heard, 1))
    limit.give_back(first)
    assert heard == [1]
    assert (limit.holders, len(limit)) == (1, 0)


def test_the_turns_of_those_who_are_gone_are_taken_back() -> None:
    """A holder that can never give its turn back does not keep it when others need it."""
    limit, is_gone = Limit(2, 20), False
    for _ in range(2):
        assert limit.ask(always, lambda: is_gone).granted
    waiting = ask(limit)
    assert not waiting.granted
    is_gone = True
    others = [ask(limit) for _ in range(LOOK_EVERY * limit.most)]  # it looks once in so many requests
    assert waiting.granted
    assert sum(turn.granted for turn in (waiting, *others)) == limit.holders == 2


def test_a_turn_is_taken_only_when_nobody_waits_for_it() -> None:
    """`take` gives a free turn without waiting, and never one before those in the queue."""
    limit = Limit(1, 10)
    taken = limit.take()
    assert taken is not None
    assert limit.take() is None
    waiting = ask(limit)
    limit.give_back(taken)
    assert waiting.granted
    assert limit.take() is None
    limit.give_back(waiting)
    assert limit.take() is not None


def test_after_a_fork_all_places_are_free() -> None:
    """What the parent holds and who waits there does not count in the child."""
    limit = Limit(1, 10)
    old = ask(limit)
    ask(limit)
    limit.forget()
    assert (limit.holders, len(limit)) == (0, 0)
    new = ask(limit)
    limit.give_back(old)
    assert new.granted
    assert limit.holders == 1


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.booleans()), max_size=80))
def test_no_order_of_asking_and_giving_back_loses_or_adds_a_place(
    most: int, steps: list[tuple[bool, int, bool]]
) -> None:
    """Whatever is asked for and given back, and whoever is deaf: holders stay within the limit, a place is free only
    when nobody waits, and in the end all are."""
    limit, turns = Limit(most, 6), list[Turn]()
    for asks, which, hears in steps:
        if asks:
            turn = limit.ask(always if hears else deaf)
            turns += [] if turn.refused else [turn]
        elif turns:
            limit.give_back(turns.pop(which % len(turns)))
        assert limit.holders <= most
        assert limit.holders == most or not len(limit)
    for turn in turns:
        limit.give_back(turn)
    assert (limit.holders, len(limit)) == (0, 0)


def test_threads_never_exceed_it() -> None:
    """Over threads that ask, wait and give back as fast as they can, the count inside never exceeds the limit."""
    limit, lock = Limit(3, 1_000), threading.Lock()
    pause = threading.Event()
    inside = peak = done = 0

    def work() -> None:
        nonlocal inside, peak, done
        for _ in range(50):
            granted = threading.Event()
            turn = limit.ask(lambda granted=granted: granted.set() is None)  # type: ignore[misc]
            assert turn.refused is None
            assert turn.granted or granted.wait(WAIT_S)
            with lock:
                inside += 1
                peak = max(peak, inside)
            pause.wait(0.0001)
            with lock:
                inside -= 1
                done += 1
            limit.give_back(turn)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert done == 600
    assert peak <= 3
    assert limit.holders_peak == 3
    assert (limit.holders, len(limit)) == (0, 0)


def test_a_slow_start_that_ends_meanwhile_fails_nobody() -> None:
    """How much is allowed is asked without the lock too: (1) a thread finds a slow start under way (2) on another it
    ends (3) the first asks it how much may be had."""

    class Ending(Limit):
        """Whose slow start ends between two looks at it."""

        looks = 0

        @property
        def slow(self) -> Callable[[], int] | None:
            self.looks += 1
            return (lambda: 2) if self.looks % 2 else None

        @slow.setter
        def slow(self, slow: Callable[[], int] | None) -> None:
            pass

    limit = Ending(8, 0)
    assert {limit.allowed for _ in range(4)} == {2, 8}


def test_the_collector_may_end_loads_in_the_midst_of_a_look_at_who_is_gone() -> None:
    """A load that is collected as garbage gives its turn back wherever the collector runs: no request fails by that,
    and no turn is lost."""
    most, usual = 30, gc.get_threshold()
    for number in range(300):
        limit = Limit(most, 1, now=count(0.0).__next__)  # it looks again as soon as it is full
        turns = [ask(limit) for _ in range(most)]

        def end_one(
            phase: str, _: Mapping[str, int], turns: list[Turn] = turns, limit: Limit = limit
        ) -> None:
            if phase == "start" and len(turns) > 1:
                limit.give_back(turns.pop())

        gc.callbacks.append(end_one)
        gc.set_threshold(1 + number % 7)
        try:
            last = limit.ask(always)
        finally:
            gc.set_threshold(*usual)
            gc.callbacks.remove(end_one)
        for turn in (*turns, last):
            limit.give_back(turn)
        assert (limit.holders, len(limit)) == (0, 0)
