"""What the log is told of answers that did not come while the tier is up, and how often."""

from __future__ import annotations

import pytest

from cacheaside.stores.redis.complaints import Unanswered, say_untold
from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.owed import Owed
from cacheaside.types import TagId
from tests.stores.redis.examples import EVERYTHING


class World:
    """A counter and a clock that are moved by hand; it is looked at every second."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.counts = Counts()
        self.unanswered = Unanswered("shop", self.counts, 0.05, lambda: self.at)

    def minute(self, unanswered: int = 0) -> None:
        for second in range(60):
            self.at += 1.0
            self.counts.away += unanswered if second == 30 else 0
            self.unanswered.look()


def test_a_minute_with_exchanges_without_an_answer_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """It says how many, and how long they were waited for; a minute without is none."""
    world = World()
    world.minute()
    world.minute(7)
    world.minute(3)
    world.minute()
    said = "cache shop: the shared tier is up, but {} exchanges of reads and writes had no answer within 50 ms in the "
    assert caplog.messages == [said.format(number) + "last 60 s" for number in (7, 3)]


def test_what_had_no_answer_while_it_was_away_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """That it was away has a line of its own."""
    world = World()
    world.counts.away += 100
    world.at += 300.0
    world.unanswered.begin()
    world.minute()
    assert caplog.messages == []


def test_what_is_owed_is_named_by_a_few_kinds(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind once, and no more than a line can bear."""
    owed = Owed(EVERYTHING)
    owed.add(TagId(f"shop:tag~{kind}:i{part}") for kind in "abcdefg" for part in range(3))
    say_untold("shop", owed)
    (said,) = caplog.messages
    assert said.startswith("cache shop: closed with 21 invalidations not told: a, b, c, d, e, …. ")
