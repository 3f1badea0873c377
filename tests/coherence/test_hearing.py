"""What is heard of changes, and until when L1 may answer because of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.coherence.hearing import WAITERS_MAX, Hearing
from cacheaside.flow.flights import Flights
from cacheaside.types import Generation, TagId
from tests.coherence.near import Near

A, B, ALL = TagId("s:tag~t:i1"), TagId("s:tag~t:i2"), TagId("s:tag~%2A:()")
WINDOW_S = 2.0


class Closing:
    """Flights that are closed are written down."""

    def __init__(self) -> None:
        self.closed: list[tuple[TagId, ...]] = []

    def close_touching(self, tags: Sequence[TagId]) -> None:
        self.closed.append(tuple(tags))


class World:
    """A hearing at a moment that is moved by hand."""

    def __init__(self, *nodes: str) -> None:
        self.t = 1000.0
        self.near = Near()
        self.flights = Closing()
        self.until = 0.0
        self.beats = 0
        self.hearing = Hearing(
            self.near,
            self,
            (cast(Flights, self.flights),),
            self._open,
            everything=ALL,
            max_unsynced_s=WINDOW_S,
        )
        self.hearing.beat_soon = self._beat
        if nodes:
            self.hearing.expect(nodes)

    def now(self) -> float:
        return self.t

    def _open(self, until: float) -> None:
        self.until = until

    def _beat(self) -> None:
        self.beats += 1

    @property
    def is_open(self) -> bool:
        """Whether L1 may answer."""
        return self.t < self.until

    def listened(self, *nodes: str, blind: bool = False) -> World:
        """All of `nodes` listen, and have answered a heartbeat that is sent now."""
        for node in nodes:
            self.hearing.listening(node, blind=blind)
        for node in nodes:
            self.hearing.synced(node, self.t)
        return self


class TestTheGate:
    """L1 answers for as long as all that was acknowledged is known to have been heard."""

    def test_nothing_opens_it_before_every_node_answered(self) -> None:
        """Listening alone does not, and one node's answer does not while another owes its own."""
        world = World("one", "other")
        for node in ("one", "other"):
            world.hearing.listening(node)
            assert not world.is_open
        world.hearing.synced("one", world.t)
        assert not world.is_open
        world.hearing.synced("other", world.t)
        assert world.is_open

    def test_a_node_that_is_not_listened_to_cannot_answer(self) -> None:
        """An answer from a node of before does not count, expected or not."""
        world = World("one")
        world.hearing.synced("one", world.t)
        world.hearing.synced("stranger", world.t)
        assert not world.is_open
        assert world.hearing.synced_through == -math.inf

    def test_it_counts_from_when_the_heartbeat_was_sent(self) -> None:
        """However late the answer comes, the window began with the question; of several nodes the oldest decides."""
        world = World("one", "other").listened("one", "other")
        sent = world.t
        world.t += 1.5
        world.hearing.synced("one", world.t)
        world.hearing.synced("other", sent + 0.5)
        assert world.until == sent + 0.5 + WINDOW_S

    def test_it_closes_by_itself(self) -> None:
        """Nobody has to run for it to be closed: the moment was told with the last answer."""
        world = World("one").listened("one")
        world.t += WINDOW_S - 0.001
        assert world.is_open
        world.t += 0.001
        assert not world.is_open

    def test_an_older_answer_takes_nothing_back(self) -> None:
        """Answers taken in by two threads in the other order leave the younger one's word."""
        world = World("one").listened("one")
        until = world.until
        world.hearing.synced("one", world.t - 1)
        assert world.until == until

    def test_a_node_that_is_expected_too_closes_it(self) -> None:
        """With another primary, what that one tells has not been heard yet; without it, the rest is enough again."""
        world = World("one").listened("one")
        world.hearing.expect(("one", "other"))
        assert not world.is_open
        world.hearing.expect(("one",))
        assert world.is_open

    def test_a_node_that_came_back_has_to_answer_anew(self) -> None:
        """What a node proved before it was no longer expected, or before its connection was made anew, is not kept."""
        world = World("one", "other").listened("one", "other")
        world.hearing.expect(("one",))
        world.hearing.expect(("one", "other"))
        assert not world.is_open
        world.listened("other")
        assert world.is_open
        world.hearing.listening("one")
        assert world.hearing.synced_through == -math.inf
        assert not world.is_open

    def test_a_lost_connection_takes_back_no_proof(self) -> None:
        """What was heard up to then holds until it is too old (G2 asks no more)."""
        world = World("one").listened("one")
        world.hearing.lost("one")
        assert world.is_open
        world.t += WINDOW_S
        assert not world.is_open

    def test_nobody_expected_is_no_proof(self) -> None:
        """Without any node nothing was shown."""
        assert World().hearing.synced_through == -math.inf
        world = World("one").listened("one")
        world.hearing.expect(())
        assert not world.is_open

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["expect", "listening", "synced", "lost", "pass"]),
                st.sets(st.sampled_from("abc"), max_size=3),
                st.floats(0, 3),
            ),
            max_size=40,
        )
    )
    def test_open_means_that_every_expected_node_answered_lately(
        self, steps: list[tuple[str, set[str], float]]
    ) -> None:
        """Whatever happens in whatever order: while it is open, each expected node has answered, since it last began to
        be listened to, a heartbeat no older than the window."""
        world, expected, answered = World(), set[str](), dict[str, float]()
        for what, nodes, by_s in steps:
            if what == "expect":
                expected = nodes
                world.hearing.expect(nodes)
                answered = {node: at for node, at in answered.items() if node in nodes}
            elif what == "pass":
                world.t += by_s
            for node in sorted(nodes):
                if what == "listening":
                    answered[node] = -math.inf
                    world.hearing.listening(node)
                elif what == "lost":
                    world.hearing.lost(node)
                elif what == "synced":
                    if node in answered:
                        answered[node] = max(answered[node], world.t - by_s)
                    world.hearing.synced(node, world.t - by_s)
            if world.is_open:
                assert expected
                assert all(world.t - answered.get(node, -math.inf) < WINDOW_S for node in expected)


class TestChanges:
    """What a change does, whoever tells of it."""

    def test_listening_drops_what_was_held(self) -> None:
        """Between two connections changes may have been missed: all that is held goes, and no load of before counts."""
        world = World("one").listened("one")
        since = world.hearing.position()
        assert world.hearing.still((A,), since)
        world.near.dropped.clear()
        world.hearing.listening("one")
        assert world.near.dropped == ["all"]
        assert not world.hearing.still((A,), since)

    @pytest.mark.parametrize("whose", ["heard", "hear"])
    def test_what_is_in_flight_is_not_kept(self, whose: str) -> None:
        """A change, another process's or this one's, drops what was computed from the tag, and shows that loads of
        before it may be old; others it leaves alone."""
        world = World("one").listened("one")
        since = world.hearing.position()
        getattr(world.hearing, whose)((A,))
        assert world.near.dropped[-1] == (A,)
        assert not world.hearing.still((A,), since)
        assert world.hearing.still((B,), since)
        assert world.hearing.still((A,), world.hearing.position())

    def test_this_processs_own_change_closes_flights_and_anothers_does_not(self) -> None:
        """Who comes after a write of this process loads anew. What others tell may be what a fill itself has sent, so
        it closes nothing: a fill finds out by looking at the generations again."""
        world = World("one").listened("one")
        world.hearing.heard((A,))
        assert world.flights.closed == []
        world.hearing.hear((B,))
        assert world.flights.closed == [(B,)]

    def test_everything_may_have_changed(self) -> None:
        """A server that dropped all its keys says no names: all that is held goes."""
        world = World("one").listened("one")
        since = world.hearing.position()
        world.hearing.heard(None)
        assert world.near.dropped[-1] == "all"
        assert not world.hearing.still((B,), since)

    def test_what_is_owed_is_owed_before_it_is_heard(self) -> None:
        """The tags are in the hands of who tries again before any flow can see that they changed."""
        world = World("one").listened("one")
        order: list[str] = []
        world.hearing.owed = lambda tags: order.append(f"owed {len(world.near.dropped)}")
        before = len(world.near.dropped)
        world.hearing.owe((A,))
        assert order == [f"owed {before}"]
        assert world.near.dropped[-1] == (A,)


class TestBlind:
    """A node that does not tell of changes."""

    def test_nothing_holds_still(self) -> None:
        """Nothing can be shown not to have changed, since nobody would tell."""
        world = World("one").listened("one", blind=True)
        assert world.hearing.is_blind
        assert not world.hearing.still((A,), world.hearing.position())

    def test_everything_goes_once_a_window(self) -> None:
        """Answers keep L1 open, and what it holds is dropped every window: what it says was valid no longer ago."""
        world = World("one").listened("one", blind=True)
        dropped_at = [world.t]
        world.near.dropped.clear()
        for _ in range(40):
            world.t += 0.25
            world.hearing.synced("one", world.t)
            if world.near.dropped:
                dropped_at.append(world.t)
                world.near.dropped.clear()
            assert world.until <= dropped_at[-1] + WINDOW_S
            assert world.t - dropped_at[-1] < WINDOW_S
        assert len(dropped_at) == 6

    def test_it_closes_when_heartbeats_stay_away(self) -> None:
        """Without answers nobody drops, so L1 does not answer."""
        world = World("one").listened("one", blind=True)
        world.t += WINDOW_S
        assert not world.is_open

    def test_it_may_see_again(self) -> None:
        """A connection that hears, after one that did not, ends it."""
        world = World("one").listened("one", blind=True).listened("one")
        assert not world.hearing.is_blind
        assert world.hearing.still((A,), world.hearing.position())

    def test_one_blind_node_of_several_is_enough(self) -> None:
        """Whatever order they come in, a node that hears does not speak for one that does not."""
        for order in (("blind", "well"), ("well", "blind")):
            world = World("blind", "well")
            for node in order:
                world.listened(node, blind=node == "blind")
            assert world.hearing.is_blind

    def test_what_a_blind_node_left_is_dropped_when_it_is_no_longer_expected(self) -> None:
        """Its changes were told to nobody, and without it L1 is blind no more."""
        world = World("blind", "well").listened("blind", blind=True).listened("well")
        since = world.hearing.position()
        world.near.dropped.clear()
        world.hearing.expect(("well",))
        assert world.near.dropped == ["all"]
        assert not world.hearing.is_blind
        assert not world.hearing.still((A,), since)
        assert world.hearing.still((A,), world.hearing.position())


class TestWaiters:
    """Who waits for a heartbeat, or for another process's load."""

    def test_a_heartbeat_sent_after_wakes_and_one_before_does_not(self) -> None:
        """Only an answer to what was sent at that moment or later counts, from every node; and one is asked for."""
        world, woken = World("one", "other").listened("one", "other"), list[str]()
        world.t += 1
        assert world.hearing.when_synced(world.t, lambda: woken.append("x"))
        assert world.beats == 1
        world.hearing.synced("one", world.t)
        world.hearing.synced("other", world.t - 0.1)
        assert woken == []
        world.hearing.synced("other", world.t)
        assert woken == ["x"]
        world.hearing.synced("other", world.t + 1)
        world.hearing.synced("one", world.t + 1)
        assert woken == ["x"], "once"

    def test_each_is_woken_when_its_own_moment_is_proved(self) -> None:
        """Of several, those are woken whose moment the answer covers."""
        world, woken = World("one").listened("one"), list[int]()
        for number in range(4):
            world.hearing.when_synced(world.t + number, lambda number=number: woken.append(number))
        world.hearing.synced("one", world.t + 1)
        assert woken == [0, 1]
        world.hearing.synced("one", world.t + 9)
        assert woken == [0, 1, 2, 3]

    def test_there_is_no_waiting_for_who_is_not_listened_to(self) -> None:
        """Where a node is not listened to nobody can be expected to answer, and the caller is told so at once."""
        world = World("one", "other").listened("one")
        assert not world.hearing.when_synced(world.t, lambda: None)
        assert world.beats == 0

    def test_the_forgotten_are_not_woken(self) -> None:
        """Who gave up is called no more, and others are."""
        world, woken = World("one").listened("one"), list[str]()

        def gone() -> None:
            woken.append("gone")

        def there() -> None:
            woken.append("there")

        for wake in (gone, there):
            world.hearing.when_synced(world.t, wake)
            assert world.hearing.when_done(A, wake)
        world.hearing.forget_synced(gone)
        world.hearing.forget_done(A, gone)
        world.hearing.synced("one", world.t)
        world.hearing.done(A)
        assert woken == ["there", "there"]
        world.hearing.forget_done(A, there)
        world.hearing.forget_done(A, there)
        world.hearing.done(A)
        assert woken == ["there", "there"]
        assert world.hearing._done_waiters == {}

    def test_done_wakes_those_of_its_key_as_often_as_it_is_said(self) -> None:
        """Other keys' waiters sleep on."""
        world, woken = World("one").listened("one"), list[str]()
        world.hearing.when_done(A, lambda: woken.append("a"))
        world.hearing.when_done(B, lambda: woken.append("b"))
        world.hearing.done(A)
        world.hearing.done(A)
        assert woken == ["a", "a"]

    def test_who_hears_nothing_is_told_to_look_by_itself(self) -> None:
        """Where the gate is closed, nobody would be told that a load is done."""
        world = World("one").listened("one")
        world.t += WINDOW_S + 0.001
        assert not world.hearing.when_done(A, lambda: None)

    def test_waiters_are_limited(self) -> None:
        """Past WAITERS_MAX nobody else waits for a heartbeat, nor for one key's load; nobody hangs for it."""
        world = World("one").listened("one")
        for _ in range(WAITERS_MAX):
            assert world.hearing.when_synced(world.t, int)
        assert not world.hearing.when_synced(world.t, int)
        world.hearing.synced("one", world.t)
        assert world.hearing.when_synced(world.t, int)


class TestEverything:
    """The generation of the namespace, kept in memory."""

    G = Generation(7)

    def known(self) -> World:
        world = World("one").listened("one")
        world.hearing.know_everything(self.G, world.hearing.position())
        return world

    def test_it_is_believed_while_everything_is_heard(self) -> None:
        """Read once, it need not be read again for as long as L1 may answer; then it must."""
        world = self.known()
        assert world.hearing.everything() == self.G
        world.t += WINDOW_S + 0.001
        assert world.hearing.everything() is None
        world.hearing.synced("one", world.t)
        assert world.hearing.everything() == self.G

    def test_a_change_ends_it(self) -> None:
        """When the namespace's tag changed, or all may have, it is to be read; another tag's change is nothing."""
        world = self.known()
        world.hearing.heard((A,))
        assert world.hearing.everything() == self.G
        world.hearing.heard((ALL,))
        assert world.hearing.everything() is None
        world = self.known()
        world.hearing.heard(None)
        assert world.hearing.everything() is None

    def test_what_moved_while_it_was_read_is_not_believed(self) -> None:
        """(1) it is asked for (2) a bump of it is heard (3) the answer from before the bump arrives."""
        world = World("one").listened("one")
        since = world.hearing.position()
        world.hearing.heard((ALL,))
        world.hearing.know_everything(self.G, since)
        assert world.hearing.everything() is None

    def test_a_missing_one_is_read_again(self) -> None:
        """None is no generation to be believed."""
        world = World("one").listened("one")
        world.hearing.know_everything(None, world.hearing.position())
        assert world.hearing.everything() is None


def test_a_child_hears_nothing() -> None:
    """After a fork the gate is closed, nobody of the parent's waits, and the namespace's generation is to be read; it
    opens when the child listens by itself."""
    world, woken = World("one").listened("one"), list[str]()
    world.hearing.know_everything(Generation(7), world.hearing.position())
    world.hearing.when_synced(world.t, lambda: woken.append("synced"))
    world.hearing.when_done(A, lambda: woken.append("done"))
    world.hearing.restart()
    assert not world.is_open
    assert world.hearing.everything() is None
    world.hearing.synced("one", world.t)
    world.hearing.done(A)
    assert (world.is_open, woken) == (False, [])
    world.listened("one")
    assert world.is_open
