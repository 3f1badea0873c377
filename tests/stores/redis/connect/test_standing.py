"""When a server that failed is asked again: decided in one place for loops and threads."""

from __future__ import annotations

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.stores.redis.connect.standing import Standing

REFUSED = ConnectionAway("no connection", endpoint="here:1", reason=Away.REFUSED, maybe_sent=True)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def standing(clock: Clock, chance: float = 0.0) -> Standing:
    return Standing("here:1", Limits(backoff_s=1.0, backoff_max_s=4.0), clock, lambda: chance)


def test_a_server_nothing_is_known_of_is_due() -> None:
    """Nothing keeps the first attempt waiting."""
    one = standing(Clock())
    assert one.is_due()
    assert one.failures == 0


def test_the_pause_doubles_up_to_its_limit() -> None:
    """Each failure in a row makes it twice as long; chance takes off up to half; an answer ends the row."""
    for chance, factor in ((0.0, 1.0), (1.0, 0.5)):
        clock = Clock()
        one = standing(clock, chance)
        for pause_s in (1.0, 2.0, 4.0, 4.0):
            one.failed(REFUSED)
            clock.now += pause_s * factor - 0.001
            assert not one.is_due()
            clock.now += 0.002
            assert one.is_due()
        one.worked()
        assert one.failures == 0


def test_a_mere_loss_is_no_failure() -> None:
    """A connection that worked and ended leaves the server due, with the reason known."""
    one = standing(Clock())
    one.lost(REFUSED)
    assert one.is_due()
    assert one.failures == 0
    assert one.once_more().message == "no connection"


def test_doubt_keeps_the_next_from_waiting_and_no_longer() -> None:
    """An attempt that goes on counts as a failure for those who come, and adds nothing to failures there are."""
    one = standing(Clock())
    one.doubted(REFUSED)
    assert one.failures == 1
    assert one.is_due()
    one.failed(REFUSED)
    one.doubted(REFUSED)
    assert one.failures == 2


def test_what_callers_are_told_is_unsent_and_names_the_reason() -> None:
    """Each gets an error of its own, with why the server was away, and that nothing was sent."""
    one = standing(Clock())
    one.failed(REFUSED)
    told, again = one.left_alone(), one.once_more()
    assert (told.reason, told.maybe_sent) == (Away.BACKING_OFF, False)
    assert str(told) == "here:1: it is left alone for a moment, since it failed: no connection"
    assert (again.reason, again.maybe_sent) == (Away.REFUSED, False)
    assert again is not REFUSED
