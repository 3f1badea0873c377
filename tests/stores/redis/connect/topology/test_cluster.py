"""A cluster: what its nodes say, what is believed, and both transports over it, up to the loss of a primary."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest

from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.connect.topology import ClusterTopology
from cacheaside.stores.redis.wire.names import SLOTS, slot_of
from cacheaside.testing.servers import Cluster, Server
from cacheaside.testing.servers.server import wait_until
from tests.stores.redis.conftest import peer
from tests.stores.redis.connect.topology.conftest import FIND_S, Way, found

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [f"k{n}" for n in range(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One for the module; its last test kills a primary."""
    with Cluster() as started:
        yield started


def seeds(cluster: Cluster) -> list[ServerAddress]:
    return [ServerAddress(*node.address) for node in cluster.nodes]


def failure(topology: ClusterTopology, within_s: float = FIND_S) -> ConnectionAway:
    with pytest.raises(ConnectionAway) as raised:
        topology.find(within_s)
    return raised.value


def test_every_slot_has_its_primary(cluster: Cluster) -> None:
    """Whichever node is asked, a replica too, each key's place is the server that holds it."""
    for seed in seeds(cluster):
        fleet = ClusterTopology([seed]).find(FIND_S)
        assert fleet.is_cluster
        assert len(fleet.primaries) == 3
        for name in NAMES[:20]:
            assert fleet.primaries[fleet.place_of(name)] == ServerAddress(*cluster.owner(name).address)


def test_nodes_known_from_before_are_asked_first(cluster: Cluster) -> None:
    """A seed is needed once; after that it may be gone for good."""
    with Server() as gone:
        first, unreachable = seeds(cluster)[0], ServerAddress(*gone.address)
    topology = ClusterTopology([unreachable, first])
    fleet = topology.find(FIND_S)
    topology._seeds = (unreachable,)

    def all_are_known() -> bool:
        """A node tells of a replica once the gossip has brought that it follows."""
        assert topology.find(FIND_S) == fleet
        return len(topology._known) == 6

    wait_until(all_are_known, "the nodes tell of the replicas too", FIND_S)


@pytest.mark.parametrize("kind", ["hostname", "unknown-endpoint", "ip"])
def test_nodes_are_reached_however_they_are_announced(cluster: Cluster, kind: str) -> None:
    """A node without a name is reached at its address; one that announces nothing, where it was asked."""
    node = cluster.nodes[0]
    node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    try:
        fleet = ClusterTopology([ServerAddress(*node.address)]).find(FIND_S)
        assert set(fleet.primaries) == {ServerAddress(*one.address) for one in cluster.primaries}
    finally:
        node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


def test_a_seed_on_a_unix_socket_leads_to_hosts(cluster: Cluster) -> None:
    """What is announced is a host and a port, whatever way the seed is reached."""
    fleet = ClusterTopology([ServerAddress(path=str(cluster.nodes[1].socket_path))]).find(FIND_S)
    assert set(fleet.primaries) == {ServerAddress(*one.address) for one in cluster.primaries}


def test_somebody_has_to_be_asked() -> None:
    """Without a seed the topology is refused when it is declared."""
    with pytest.raises(DeclarationError, match="seeds"):
        ClusterTopology([])


def test_a_server_alone_is_no_cluster(server: Server) -> None:
    """It says so, and nothing is made of it."""
    away = failure(ClusterTopology([ServerAddress(*server.address)]))
    assert away.reason is Away.REFUSED
    assert "it answered ERR, and not a list of slots" in str(away)


NODE = b"*3\r\n+127.0.0.1\r\n:7000\r\n+id\r\n"
STATE_OK = b"+cluster_state:ok\r\n"


def range_of(first: int, last: int, node: bytes = NODE) -> bytes:
    return b"*3\r\n:%d\r\n:%d\r\n" % (first, last) + node


@pytest.mark.parametrize(
    ("state", "slots", "reason"),
    [
        (b"+cluster_state:fail\r\n", b"*1\r\n" + range_of(0, 16_383), Away.REFUSED),
        (STATE_OK, b"*1\r\n" + range_of(0, 16_382), Away.REFUSED),
        (STATE_OK, b"*2\r\n" + range_of(0, 99) + range_of(101, 16_383), Away.REFUSED),
        (STATE_OK, b"*0\r\n", Away.REFUSED),
        (STATE_OK, b"*1\r\n" + range_of(0, 16_384), Away.GARBLED),
        (STATE_OK, b"*1\r\n" + range_of(-1, 16_383), Away.GARBLED),
        (STATE_OK, b"*1\r\n" + range_of(0, 16_383, b"*2\r\n+h\r\n:0\r\n"), Away.GARBLED),
        (STATE_OK, b"*1\r\n" + range_of(0, 16_383, b"*2\r\n:5\r\n:1\r\n"), Away.GARBLED),
        (STATE_OK, b"*1\r\n" + range_of(0, 16_383, b"*2\r\n+?\r\n:1\r\n"), Away.GARBLED),
        (STATE_OK, b"*1\r\n*2\r\n:0\r\n:16383\r\n", Away.GARBLED),
        (STATE_OK, b"*1\r\n+x\r\n", Away.GARBLED),
        (STATE_OK, b"+OK\r\n", Away.GARBLED),
        (STATE_OK, b"-NOPERM no\r\n", Away.REFUSED),
    ],
)
def test_what_leaves_a_slot_without_a_primary_is_not_believed(
    state: bytes, slots: bytes, reason: Away
) -> None:
    """A cluster that is down, a node cut off from it, a hole, and what is no description at all: away, and why."""
    answers = {b"INFO": state, b"SLOTS": slots}
    with peer(lambda command: answers[command[1]]) as address:
        assert failure(ClusterTopology([ServerAddress(*address)])).reason is reason


def test_a_user_without_the_right_to_its_state_is_believed_the_slots() -> None:
    """CLUSTER INFO refused leaves CLUSTER SLOTS to go by."""
    answers = {b"INFO": b"-NOPERM no\r\n", b"SLOTS": b"*1\r\n" + range_of(0, 16_383)}
    with peer(lambda command: answers[command[1]]) as address:
        fleet = ClusterTopology([ServerAddress(*address)]).find(FIND_S)
        assert fleet == Fleet((ServerAddress("127.0.0.1", 7000),), array("H", [0]) * SLOTS)


def test_one_that_says_nonsense_is_passed_over(cluster: Cluster) -> None:
    """The next node is asked."""
    with peer(lambda _: b"+OK\r\n") as address:
        fleet = ClusterTopology([ServerAddress(*address), *seeds(cluster)]).find(FIND_S)
    assert len(fleet.primaries) == 3


def test_commands_to_all_slots_are_answered_in_order(cluster: Cluster, way: Way) -> None:
    """What is sent in one call reaches every primary, none of it the wrong one."""
    way.use(ClusterTopology(seeds(cluster)).find(FIND_S))
    assert way.execute([("SET", name, name) for name in NAMES]) == [b"OK"] * len(NAMES)
    assert way.execute([("GET", name) for name in NAMES]) == [name.encode() for name in NAMES]
    assert way.execute([("DEL", name) for name in NAMES]) == [1] * len(NAMES)


def test_a_redirection_is_shown_and_not_followed(cluster: Cluster, way: Way) -> None:
    """Where the fleet is out of date the node's answer stands among the replies, beside those that are right."""
    fleet = ClusterTopology(seeds(cluster)).find(FIND_S)
    assert fleet.owners is not None
    wrong = array("H", fleet.owners)
    moved = slot_of("k1")
    wrong[moved] = (wrong[moved] + 1) % 3
    way.use(Fleet(fleet.primaries, wrong))
    other = next(name for name in NAMES if slot_of(name) != moved)
    redirection, answer = way.execute([("GET", "k1"), ("EXISTS", other)])
    assert isinstance(redirection, ErrorReply)
    assert redirection.code == "MOVED"
    assert answer == 0


def test_the_loss_of_a_primary_from_end_to_end(cluster: Cluster, both_ways: tuple[Way, Way]) -> None:
    """A primary is killed: keys elsewhere go on being served; its replica is found, and all slots work again."""
    topology = ClusterTopology(seeds(cluster)[:1])
    old = cluster.owner("k1")
    elsewhere = next(name for name in NAMES if cluster.owner(name) is not old)
    for way in both_ways:
        way.use(topology.find(FIND_S))
        assert way.execute([("SET", name, name) for name in NAMES]) == [b"OK"] * len(NAMES)
    assert old.ask("WAIT", 1, 5000) == 1
    old.kill()
    for way in both_ways:
        assert way.execute([("GET", elsewhere)]) == [elsewhere.encode()]
        with pytest.raises(ConnectionAway):
            way.execute([("GET", "k1"), ("GET", elsewhere)])
    cluster.wait_failover(old)
    fleet = found(topology)
    assert ServerAddress(*old.address) not in fleet.primaries
    for way in both_ways:
        way.use(fleet)
        assert way.answered([("GET", name) for name in NAMES]) == [name.encode() for name in NAMES]
