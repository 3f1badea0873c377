"""The pace of refreshes in front of a source."""

from __future__ import annotations

from cacheaside.source.limit import Limit
from cacheaside.source.pace import Pace, Step


def _entered(pace: Pace, times: int) -> list[object]:
    return [pace.enter(lambda: False) for _ in range(times)]


def test_they_take_a_share_and_give_it_back() -> None:
    """As many begin as the share allows; one that ends makes room for another, and ending twice is harmless."""
    pace = Pace(Limit(8, 100))
    steps = _entered(pace, 10)
    assert [step is not None for step in steps] == [True] * 6 + [False] * 4
    assert (pace.peak, pace.free) == (6, False)
    first = steps[0]
    first.end()  # type: ignore[attr-defined]
    first.end()  # type: ignore[attr-defined]
    assert (len(pace), pace.free) == (5, True)


def test_readers_who_wait_stop_all_but_one() -> None:
    """While loads wait at the limit, one refresh at a time begins."""
    limit = Limit(2, 100)
    pace = Pace(limit)
    turns = [limit.ask(lambda: True) for _ in range(3)]
    assert [step is not None for step in _entered(pace, 3)] == [True, False, False]
    for turn in turns:
        assert turn is not None
        limit.give_back(turn)
    assert len(limit) == limit.holders == 0


def test_what_can_never_end_gives_its_place_away() -> None:
    """Refreshes of a loop that was closed under them do not keep others from theirs for ever."""
    pace = Pace(Limit(4, 100))
    closed = False
    for _ in range(3):
        assert pace.enter(lambda: closed) is not None
    assert pace.enter(lambda: False) is None
    closed = True
    assert pace.enter(lambda: False) is not None
    assert len(pace) == 1


def test_a_fork_takes_nothing_along() -> None:
    """The refreshes stayed in the parent, and one that ends here all the same ends nothing."""
    pace = Pace(Limit(4, 100))
    before = pace.enter(lambda: False)
    pace.forget()
    after = pace.enter(lambda: False)
    assert before is not None
    before.end()
    assert len(pace) == 1
    assert after is not None


def test_one_may_end_while_it_is_looked_which_can_never_end() -> None:
    """The garbage collector may end a refresh anywhere, on the very thread that looks: (1) all places are taken, and it
    is looked at one of them (2) the collector runs, and ends another (3) the look goes on."""
    pace = Pace(Limit(4, 100))
    steps: list[Step] = []

    def ends_another() -> bool:
        for step in steps[1:]:
            step.end()
        return False

    for _ in range(3):
        step = pace.enter(ends_another)
        assert step is not None
        steps.append(step)
    assert pace.enter(lambda: False) is not None
    assert len(pace) == 2
