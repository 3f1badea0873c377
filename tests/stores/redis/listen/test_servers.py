"""What is known of the servers, when they come, go, and are replaced."""

from __future__ import annotations

from array import array

import pytest

from cacheaside.policy.timebase import Reading, Timebase
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.wire.generations import UNKNOWN_IDENTITY, Identity
from cacheaside.stores.redis.wire.names import slot_of
from tests.stores.redis.examples import CATEGORY, KEY, PRODUCT

ONE, OTHER, THIRD = (ServerAddress("127.0.0.1", port) for port in (7001, 7002, 7003))
ALONE = Fleet((ONE,))


def cluster(*primaries: ServerAddress) -> Fleet:
    """Slots are dealt out in turn."""
    return Fleet(primaries, array("H", [slot % len(primaries) for slot in range(16_384)]))


def up(fleet: Fleet, *, trusting: bool = False) -> Servers:
    """All of `fleet` are up, each with an identity and a clock of its own."""
    servers = Servers(trusting=trusting)
    servers.use(fleet)
    for number, state in enumerate(servers.states, 1):
        state.identity = Identity(number)
        state.base = Timebase(0.0, 10.0 * number, 10.0 * number + 0.1)
        servers.say(state, is_up=True)
    return servers


def away(message: str, reason: Away = Away.LATE) -> ConnectionAway:
    return ConnectionAway(message, endpoint="127.0.0.1:7001", reason=reason)


def test_before_anything_is_found_nobody_is_up() -> None:
    """Whoever asks is told at once that there is no connection yet, or why there is none."""
    servers = Servers()
    assert (servers.all_up, servers.one_up, servers.is_cluster) == (False, False, False)
    with pytest.raises(
        ConnectionAway, match="the shared tier: this process has not connected to it yet"
    ) as raised:
        servers.of(PRODUCT)
    assert raised.value.reason is Away.BACKING_OFF
    servers.why = away("refused")
    with pytest.raises(ConnectionAway, match=r"127\.0\.0\.1:7001: refused"):
        servers.of(PRODUCT)


def test_it_is_up_when_every_primary_is() -> None:
    """One of several that is away makes all not up, and it alone is not asked."""
    servers = up(cluster(ONE, OTHER))
    assert servers.all_up
    servers.say(servers.states[0], is_up=False, why=away("it answered nothing"))
    assert not servers.all_up
    named = {slot_of(name) % 2: name for name in (KEY, PRODUCT, CATEGORY, "a", "b", "c")}
    assert servers.of(named[1]) is servers.states[1]
    with pytest.raises(ConnectionAway, match="it answered nothing") as raised:
        servers.of(named[0])
    assert raised.value.reason is Away.BACKING_OFF
    servers.say(servers.states[0], is_up=True)
    assert servers.all_up
    assert servers.states[0].why is None


def test_one_up_is_of_a_single_primary() -> None:
    """What may be asked of one server without looking whose slot it is; a cluster of one node is no such thing."""
    assert up(ALONE).one_up
    assert not up(cluster(ONE)).one_up
    assert up(cluster(ONE)).is_cluster


def test_each_name_has_the_server_of_its_slot() -> None:
    """The identity that vouches for a generation is that of the server that holds it."""
    servers = up(cluster(ONE, OTHER, THIRD))
    for name in (KEY, PRODUCT, CATEGORY):
        assert servers.identity_of(name) == slot_of(name) % 3 + 1
        assert servers.of(name).address == (ONE, OTHER, THIRD)[slot_of(name) % 3]


def test_a_primary_that_stays_keeps_what_is_known_of_it() -> None:
    """A new fleet with an old primary asks nobody to look at it anew, and it stays up."""
    servers = up(cluster(ONE, OTHER))
    known = servers.states
    servers.use(cluster(OTHER, ONE))
    assert servers.states == (known[1], known[0])
    assert servers.all_up


def test_a_new_primary_goes_on_where_the_old_one_was() -> None:
    """After a failover the first heartbeat of the new primary is compared with the clock and the identity of the old
    one: so a slower clock is a step back, and another history is noticed. It is not up before that."""
    servers = up(ALONE)
    servers.use(Fleet((OTHER,)))
    (state,) = servers.states
    assert (state.address, state.is_up) == (OTHER, False)
    assert (state.identity, state.base) == (Identity(1), Timebase(0.0, 10.0, 10.1))
    assert not servers.all_up
    assert state.taken(Reading(1.0, 1.01, 6.0)).set_back_s > 4


def test_of_several_gone_the_clock_that_was_furthest_ahead_counts() -> None:
    """Which of them a new primary replaces is not known, and none of their entries may look younger."""
    servers = up(cluster(ONE, OTHER))
    servers.use(cluster(THIRD))
    assert servers.states[0].base == Timebase(0.0, 20.0, 20.1)


def test_a_primary_more_in_place_of_none_begins_unknown() -> None:
    """A cluster that grows has a node of which nothing is known yet."""
    servers = up(cluster(ONE))
    servers.use(cluster(ONE, OTHER))
    assert (servers.states[1].identity, servers.states[1].base) == (UNKNOWN_IDENTITY, None)
    assert not servers.all_up


def test_trusting_makes_all_histories_the_same() -> None:
    """Where it is trusted, no server vouches under its own identity; and none is asked whether it is up."""
    assert up(ALONE).identity_of(KEY) == 1
    assert up(ALONE, trusting=True).identity_of(KEY) == UNKNOWN_IDENTITY


def test_a_moved_clock_moves_the_servers_along() -> None:
    """Under a clock that a test moves, whatever a server says its clock is that of this process; and by the kernel's
    again, what it says is to be learned anew."""
    servers = up(ALONE)
    servers.move_clock(True, 500.0)
    (state,) = servers.states
    assert state.base == Timebase(500.0, 0.0, 0.0)
    assert state.taken(Reading(500.0, 501.0, 1e9)).base == Timebase(501.0, 0.0, 0.0)
    servers.use(Fleet((OTHER,)))
    assert servers.states[0].clock_is_moved
    assert servers.states[0].base == Timebase(0.0, 0.0, 0.0)
    servers.move_clock(False, 500.0)
    (state,) = servers.states
    assert (state.base, state.clock_is_moved) == (None, False)
    assert state.taken(Reading(500.0, 500.1, 1e9)).base.low_s > 1e8


def test_forgetting_leaves_nobody_up() -> None:
    """After closing or a fork no server is up and none is known, so the first user waits for an attempt."""
    servers = up(ALONE)
    servers.forget()
    assert (servers.fleet, servers.all_up, servers.one_up) == (None, False, False)
    with pytest.raises(ConnectionAway):
        servers.of(KEY)


def test_a_server_is_called_by_its_address() -> None:
    """In logs, and by who listens."""
    assert up(ALONE).states[0].name == "127.0.0.1:7001"
