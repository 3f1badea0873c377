"""What an answered heartbeat changes, step by step: each step is seen from the middle of the one that follows it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from cacheaside.coherence.hearing import Hearing
from cacheaside.coherence.log import ChangeLog
from cacheaside.policy.timebase import Reading, Timebase
from cacheaside.stores.redis.beliefs import News, believe
from cacheaside.stores.redis.fleet import Fleet
from cacheaside.stores.redis.generations import UNKNOWN_IDENTITY, Identity
from cacheaside.stores.redis.server import ServerAddress
from cacheaside.stores.redis.servers import Servers
from cacheaside.types import TagId
from tests.stores.redis.examples import EVERYTHING

OLD, NEW = Identity(1), Identity(2)
AHEAD_S = 50.0
WINDOW_S = 2.0


class World:
    """One server, which was heard of at 0. Whatever happens writes down what was believed at that moment."""

    def __init__(self, *, listened: bool = True) -> None:
        self.lock = threading.RLock()
        self.log = ChangeLog()
        self.seen: list[tuple[Any, ...]] = []
        self.until = 0.0
        self.servers = Servers()
        self.servers.use(Fleet((ServerAddress("127.0.0.1", 7001),)))
        (self.state,) = self.servers.states
        self.hearing = Hearing(self, self, (), self._open, everything=EVERYTHING, max_unsynced_s=WINDOW_S)
        self.hearing.expect((self.state.name,))
        if listened:
            self.hearing.listening(self.state.name)
            self.beat(0.0)
        self.seen.clear()

    # As a clock, and as L1.

    def now(self) -> float:
        return 0.0

    def changed(self, tags: Sequence[TagId], calls: Sequence[object] = ()) -> None:
        raise AssertionError("nothing is changed by name")

    def clear(self) -> None:
        self._see("dropped")

    def _open(self, until: float) -> None:
        if until > self.until:
            self._see("opened")
            self.until = until

    def _see(self, what: str) -> None:
        base = self.state.base
        ahead_s = None if base is None else round(base.low_s)
        self.seen.append((what, ahead_s, self.state.identity, self.state.is_up))

    def beat(self, at: float, ahead_s: float = AHEAD_S, identity: Identity | None = OLD) -> News:
        """A heartbeat sent at `at` is answered a hundredth of a second later."""
        reading = Reading(at, at + 0.01, at + 0.005 + ahead_s)
        return believe(
            self.state,
            reading,
            identity,
            self.servers,
            self.hearing,
            on_set_back=lambda by_s: self._see("set back"),
            on_new_identity=lambda: self._see("new identity"),
        )


def test_an_ordinary_heartbeat_opens_and_drops_nothing() -> None:
    """Nothing is news but that L1 may answer for longer, counted from when it was sent."""
    world = World()
    assert world.beat(1.0) == News(is_up=False, has_another_history=False, set_back_s=0.0)
    assert world.seen == [("opened", 50, OLD, True)]
    assert world.until == 1.0 + WINDOW_S


def test_the_first_one_makes_it_up_before_l1_answers() -> None:
    """Its clock and identity are known before it counts as up, and it is up before L1 may answer because of it."""
    world = World(listened=False)
    world.hearing.listening(world.state.name)
    world.seen.clear()
    assert world.beat(1.0) == News(is_up=True, has_another_history=False, set_back_s=0.0)
    assert world.seen == [("opened", 50, OLD, True)]


def test_everything_is_forgotten_before_a_step_back_is_believed() -> None:
    """While it is being forgotten, the old offset still makes every entry as old as it is."""
    world = World()
    news = world.beat(1.0, AHEAD_S - 10)
    assert news.set_back_s == pytest.approx(10, abs=0.1)
    assert world.seen == [("set back", 50, OLD, True), ("opened", 40, OLD, True)]


def test_a_small_step_back_is_no_news() -> None:
    """It is covered, and nobody is told."""
    world = World()
    assert world.beat(1.0, AHEAD_S - 0.1).set_back_s == 0.0
    assert [what for what, *_ in world.seen] == ["opened"]


def test_a_step_forward_is_believed_before_what_is_held_is_dropped() -> None:
    """Dropped first, what is fetched in between would be kept with the age that it only seems to have."""
    world = World()
    assert world.beat(1.0, AHEAD_S + 10).set_back_s == 0.0
    assert world.seen == [("dropped", 60, OLD, True), ("opened", 60, OLD, True)]


def test_a_new_identity_is_believed_before_what_is_held_is_dropped() -> None:
    """Then no flow can keep what the old identity vouched for; and only after that everything is forgotten, where that
    is wanted."""
    world = World()
    assert world.beat(1.0, identity=NEW).has_another_history
    assert world.seen == [
        ("dropped", 50, NEW, True),
        ("new identity", 50, NEW, True),
        ("opened", 50, NEW, True),
    ]


def test_both_at_once_keep_both_orders() -> None:
    """A failover to a slower clock: forgotten by the old clock, then believed, then dropped by the new identity."""
    world = World()
    world.beat(1.0, AHEAD_S - 10, NEW)
    assert world.seen == [
        ("set back", 50, OLD, True),
        ("dropped", 40, NEW, True),
        ("new identity", 40, NEW, True),
        ("opened", 40, NEW, True),
    ]


@pytest.mark.parametrize(("before", "after"), [(UNKNOWN_IDENTITY, NEW), (OLD, OLD), (UNKNOWN_IDENTITY, None)])
def test_what_is_told_for_the_first_time_is_no_other_history(
    before: Identity, after: Identity | None
) -> None:
    """A server of which no identity was known has no other one; nor has one that says the same."""
    world = World()
    world.state.identity = before
    assert not world.beat(1.0, identity=after).has_another_history
    assert ("dropped", 50, after or UNKNOWN_IDENTITY, True) not in world.seen


def test_a_server_that_stops_telling_has_another_history() -> None:
    """An identity that is no longer told cannot be shown to be the same."""
    world = World()
    assert world.beat(1.0, identity=None).has_another_history
    assert world.state.identity == UNKNOWN_IDENTITY


def test_a_new_primary_is_compared_with_the_one_it_replaces() -> None:
    """After a failover the first heartbeat says what changed, though the new primary was never heard before."""
    world = World()
    world.servers.use(Fleet((ServerAddress("127.0.0.1", 7002),)))
    (world.state,) = world.servers.states
    world.hearing.expect((world.state.name,))
    world.hearing.listening(world.state.name)
    world.seen.clear()
    news = world.beat(1.0, AHEAD_S - 10, NEW)
    assert (news.is_up, news.has_another_history) == (True, True)
    assert news.set_back_s == pytest.approx(10, abs=0.1)
    assert world.seen[0] == ("set back", 50, OLD, False)


def test_a_moved_clock_is_never_set() -> None:
    """Where a test moves the clock, the server's goes along, whatever it says."""
    world = World()
    world.servers.move_clock(True, 0.0)
    assert world.beat(1.0, 9e9) == News(is_up=False, has_another_history=False, set_back_s=0.0)
    assert world.state.base == Timebase(1.01, 0.0, 0.0)


def test_a_history_that_may_lack_the_forgetting_is_forgotten_once_more() -> None:
    """A server that was set back, and then went back to data of before everything was forgotten for it: entries of
    before the step would look younger again. Where it was never set back by more than is covered, nothing is."""
    world = World()
    set_back_s = world.beat(1.0, AHEAD_S - 10).set_back_s
    world.seen.clear()
    assert world.beat(2.0, AHEAD_S - 10, NEW).set_back_s == pytest.approx(set_back_s)
    assert [what for what, *_ in world.seen] == ["set back", "dropped", "new identity", "opened"]
    world = World()
    assert world.beat(2.0, AHEAD_S, NEW).set_back_s == 0.0
